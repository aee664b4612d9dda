"""A data set that is learnt in seconds, and a network that learns it."""

from pathlib import Path

import numpy as np
from PIL import Image

from lykeion.nets import Architecture, Convolution, InvertedResidual
from lykeion.nets.training import Dataset, load_data

SIDE = 8
ARCHITECTURE = Architecture(
    "tiny",
    SIDE,
    SIDE,
    (Convolution(8, 3, stride=2), InvertedResidual(16, 16, 3)),
    classes=4,
    channels=1,
)


def quadrants(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Noise uint8 (count, SIDE, SIDE, 1), brighter in one quadrant, and which, uint8 (count,)."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 4, count).astype(np.uint8)
    images = random.integers(0, 120, (count, SIDE, SIDE, 1)).astype(np.uint8)
    half = SIDE // 2
    for image, label in zip(images, labels, strict=True):
        y, x = divmod(int(label), 2)
        image[y * half : (y + 1) * half, x * half : (x + 1) * half] += 100
    return images, labels


def write_npz(directory: Path, count: int = 240) -> Path:
    images, labels = quadrants(count)
    test_images, test_labels = quadrants(60, seed=1)
    path = directory / "quadrants.npz"
    np.savez(path, x_train=images, y_train=labels, x_test=test_images, y_test=test_labels)
    return path


def write_photos(
    directory: Path, classes: tuple[str, ...] = ("bag", "shoe"), count: int = 12, shade: int = 90
) -> Path:
    for place, name in enumerate(classes):
        (directory / name).mkdir(parents=True)
        for number in range(count):
            colour = (40 * number % 256, 200 * place, shade)
            Image.new("RGB", (20 + number, 30), colour).save(directory / name / f"{number}.png")
    return directory


def load_tiny(directory: Path, count: int = 240) -> Dataset:
    return load_data(write_npz(directory, count))
