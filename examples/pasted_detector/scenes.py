"""Scenes: photos of things as cards on a made-up wall, and where each of them is."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

MOST = 3


@dataclass(frozen=True, slots=True)
class Scene:
    """``pixels`` are uint8 (height, width), grey; ``boxes`` float32 (n, 4), top, left, bottom, right in pixels;
    ``labels`` int (n,), places in CATEGORIES."""

    pixels: np.ndarray
    boxes: np.ndarray
    labels: np.ndarray


def random_scene(rng: np.random.Generator, images: np.ndarray, labels: np.ndarray, height: int, width: int) -> Scene:
    """One to MOST things that do not overlap, a fifth to a half as high. ``images`` are uint8 (n, 28, 28)."""
    pixels = wall(rng, height, width)
    boxes: list[tuple[int, int, int, int]] = []
    chosen: list[int] = []
    for number in rng.integers(0, len(images), rng.integers(1, MOST + 1)):
        side = int(height * rng.uniform(0.2, 0.5))
        top, left = int(rng.integers(0, height - side + 1)), int(rng.integers(0, width - side + 1))
        if any(
            top < bottom + 2 and left < right + 2 and top + side > above - 2 and left + side > before - 2
            for above, before, bottom, right in boxes
        ):
            continue
        paste(pixels, images[number], top, left, side, light=float(rng.uniform(0.6, 1.0)))
        boxes.append((top, left, top + side, left + side))
        chosen.append(int(labels[number]))
    noisy = pixels + rng.normal(0, rng.uniform(0, 6), pixels.shape)
    return Scene(noisy.clip(0, 255).astype(np.uint8), np.array(boxes, np.float32), np.array(chosen))


def paste(pixels: np.ndarray, image: np.ndarray, top: int, left: int, side: int, *, light: float = 1.0) -> None:
    """Put a photo, uint8 (28, 28), into ``pixels``, (height, width), as a square of ``side`` pixels."""
    scaled = np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC), np.float32)
    pixels[top : top + side, left : left + side] = scaled * light


def wall(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Light and dark places, and a few plain rectangles, some as dark as a card: float32 (height, width)."""
    coarse = rng.uniform(40, 220, (4, 5)).astype(np.float32)
    pixels = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)).copy()
    for _ in range(rng.integers(0, 5)):
        down, across = rng.integers(height // 12, height // 2, 2)
        top, left = rng.integers(0, height - down), rng.integers(0, width - across)
        pixels[top : top + down, left : left + across] = rng.uniform(0, 255)
    return pixels
