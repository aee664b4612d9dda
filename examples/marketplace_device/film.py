"""What the camera sees: one card after another that somebody moves before a wall, as a YUV4MPEG2 file."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from examples.fashion_mnist import CATEGORIES, DataSet
from examples.pasted_detector import paste, wall

WIDTH, HEIGHT, FPS = 320, 240, 10
FRAMES_OF_A_CARD = 12


@dataclass(frozen=True, slots=True)
class Film:
    """For each frame, the product that is in it, and its category."""

    path: Path
    shown: tuple[str, ...]
    categories: tuple[str, ...]


def make_film(path: Path, data: DataSet, photos: int, cards: int, seed: int) -> Film:
    """Of products that are among the first ``photos`` of the catalogue."""
    rng = np.random.default_rng(seed)
    split, (images, labels) = next(iter(data.splits.items()))
    shown: list[str] = []
    categories: list[str] = []
    frames: list[np.ndarray] = []
    for number in rng.choice(min(photos, len(images)), cards, replace=False):
        behind, side = wall(rng, HEIGHT, WIDTH), int(rng.integers(60, 110))
        path_from, path_to = (rng.uniform(0, (HEIGHT - side, WIDTH - side)) for _ in range(2))
        for step in np.linspace(0, 1, FRAMES_OF_A_CARD):
            top, left = (path_from + step * (path_to - path_from)).astype(int)
            pixels = behind.copy()
            paste(pixels, images[number], top, left, side, light=0.95)
            frames.append((pixels + rng.normal(0, 2, pixels.shape)).clip(0, 255).astype(np.uint8))
            shown.append(f"{split}-{number:05}")
            categories.append(CATEGORIES[labels[number]])
    write_grey(path, frames)
    return Film(path, tuple(shown), tuple(categories))


def write_grey(path: Path, frames: list[np.ndarray]) -> None:
    """Frames, uint8 (HEIGHT, WIDTH), as 4:2:0 with luma from 16 to 235."""
    colour = np.full(WIDTH * HEIGHT // 2, 128, np.uint8).tobytes()
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{WIDTH} H{HEIGHT} F{FPS}:1 C420jpeg\n".encode())
        for frame in frames:
            luma = np.rint(16 + frame * (219 / 255)).astype(np.uint8)
            file.write(b"FRAME\n" + luma.tobytes() + colour)
