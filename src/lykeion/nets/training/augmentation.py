"""Random changes of photos (data augmentation), of uint8 (n, height, width, channels)."""

import numpy as np

from .recipe import Recipe


def augment(images: np.ndarray, recipe: Recipe, random: np.random.Generator) -> np.ndarray:
    """The photos, changed as the recipe says; deterministic for a given ``random``. The input is not modified."""
    if recipe.flip:
        mirrored = random.random(len(images)) < 0.5
        images = np.where(mirrored[:, None, None, None], images[:, :, ::-1], images)
    if recipe.shift:
        images = _shift(images, recipe.shift, random)
    if recipe.colour:
        images = _change_colour(images, recipe.colour, random)
    if recipe.erase:
        images = _erase(images, recipe.erase, random)
    return images


def _shift(images: np.ndarray, most: int, random: np.random.Generator) -> np.ndarray:
    """Shift by up to ``most`` pixels in each direction; edge pixels are repeated."""
    count, height, width, _ = images.shape
    padded = np.pad(images, ((0, 0), (most, most), (most, most), (0, 0)), "edge")
    moved = np.empty_like(images)
    for place, (y, x) in enumerate(random.integers(0, 2 * most + 1, (count, 2))):
        moved[place] = padded[place, y : y + height, x : x + width]
    return moved


def _change_colour(images: np.ndarray, strength: float, random: np.random.Generator) -> np.ndarray:
    """Contrast about each photo's mean, then brightness, by factors from 1 − strength to 1 + strength."""
    contrast, brightness = random.uniform(1 - strength, 1 + strength, (2, len(images), 1, 1, 1)).astype(np.float32)
    mean = images.mean(axis=(1, 2, 3), keepdims=True, dtype=np.float32)
    changed = (mean + (images - mean) * contrast) * brightness
    return np.clip(np.rint(changed), 0, 255).astype(np.uint8)


def _erase(images: np.ndarray, share: float, random: np.random.Generator) -> np.ndarray:
    """A rectangle of a fifth to a half of each side, filled with noise (random erasing, arXiv:1708.04896)."""
    count, height, width, channels = images.shape
    chosen = random.random(count) < share
    sides = np.rint(random.uniform(0.2, 0.5, (count, 2)) * (height, width)).astype(int)
    corners = (random.random((count, 2)) * ((height, width) - sides + 1)).astype(int)
    images = images.copy()
    for place in np.flatnonzero(chosen):
        (rows, columns), (y, x) = sides[place], corners[place]
        noise = random.integers(0, 256, (rows, columns, channels), np.uint8)
        images[place, y : y + rows, x : x + columns] = noise
    return images
