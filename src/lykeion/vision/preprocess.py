"""Pixels to a network's input. It determines the vector, on servers and devices alike.

The reference: the photo decoded in full, cropped as the card says, and resized by Pillow's antialiased bilinear
filter, along rows first and then along columns. The filter uses integer arithmetic, so a phone or a browser can give
bit-identical pixels; tests/vision/test_preprocess.py implements it in a dozen lines.
"""

import math
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

    from .card import ModelCard

PREPROCESSING_VERSION = 1
"""Incremented whenever the same photo and card would give other pixels; part of an embedder's digest."""

Region: TypeAlias = tuple[float, float, float, float]
"""Left, top, right, bottom, in pixels of an image; may be fractional."""


def pixels(image: "Image", region: Region, card: "ModelCard") -> np.ndarray:
    """The region of an RGB image as the card specifies: uint8 (card.height, card.width, 3, or 1 for grey)."""
    left, top, right, bottom = region
    size = (card.width, card.height)
    if card.crop == "letterbox":
        factor = min(card.width / (right - left), card.height / (bottom - top))
        size = max(1, round((right - left) * factor)), max(1, round((bottom - top) * factor))
    else:
        region = _centre(region, card)
    seen = _in_channels(_resized(image, size, region), card.channels)
    if size == (card.width, card.height):
        return seen
    # The padding is the card's mean colour, which normalises to zero.
    padded = np.empty((card.height, card.width, seen.shape[2]), np.uint8)
    padded[:] = np.clip(np.rint(card.mean), 0, 255)
    x, y = (card.width - size[0]) // 2, (card.height - size[1]) // 2
    padded[y : y + size[1], x : x + size[0]] = seen
    return padded


def seen_region(width: int, height: int, card: "ModelCard") -> Region:
    """Which part of a photo of this size the network's input shows; with a letterbox it extends beyond the photo."""
    if card.crop != "letterbox":
        return _centre((0.0, 0.0, float(width), float(height)), card)
    factor = min(card.width / width, card.height / height)
    across, down = max(1, round(width * factor)), max(1, round(height * factor))
    left, top = -((card.width - across) // 2) * width / across, -((card.height - down) // 2) * height / down
    return left, top, left + card.width * width / across, top + card.height * height / down


def whole(image: "Image", region: Region, card: "ModelCard") -> "Image | None":
    """What ``pixels`` gives, as an image, if that is all of the region, in its colours, not distorted or enlarged;
    else None."""
    left, top, right, bottom = region
    same_aspect = (right - left) * card.height == (bottom - top) * card.width
    shown = same_aspect and right - left >= card.width and _centre(region, card) == region
    return _resized(image, (card.width, card.height), region) if shown and card.channels == "RGB" else None


def cut(image: "Image", part: tuple[int, int, int, int]) -> "Image":
    """``Image.crop``, which fails for a large photo if the calling program has lowered Image.MAX_IMAGE_PIXELS."""
    from PIL import Image

    left, top, right, bottom = part
    if part == (0, 0, *image.size):
        return image
    inside = Image.new(image.mode, (right - left, bottom - top), None)
    inside.paste(image, (-left, -top))
    return inside


def same_pixels(one: "Image", other: "Image") -> bool:
    """Whether two images of one size are the same, a strip at a time: no third one is held."""
    strips = ((0, top, one.width, min(top + 64, one.height)) for top in range(0, one.height, 64))
    return all(np.array_equal(np.asarray(cut(one, strip)), np.asarray(cut(other, strip))) for strip in strips)


def normalise(pixels: np.ndarray, card: "ModelCard") -> np.ndarray:
    """(x − mean) / std for each channel: uint8 (n, height, width, channels) to float32 of that shape."""
    values = pixels.astype(np.float32)
    values -= np.asarray(card.mean, np.float32)
    values /= np.asarray(card.std, np.float32)
    return values


def _centre(region: Region, card: "ModelCard") -> Region:
    """The middle of the region: ``crop_fraction`` of it, with the card's aspect ratio if the crop is centred."""
    left, top, right, bottom = region
    width, height = right - left, bottom - top
    if card.crop == "centre":
        factor = min(width / card.width, height / card.height)
        width, height = card.width * factor, card.height * factor
    across, down = width * card.crop_fraction / 2, height * card.crop_fraction / 2
    x, y = (left + right) / 2, (top + bottom) / 2
    return max(x - across, left), max(y - down, top), min(x + across, right), min(y + down, bottom)


def _resized(image: "Image", size: tuple[int, int], region: Region) -> "Image":
    from PIL.Image import Resampling

    # Rounded outwards to 1/256 of a pixel, which Pillow's single precision represents exactly.
    left, top = (math.floor(edge * 256) / 256 for edge in region[:2])
    right, bottom = (math.ceil(edge * 256) / 256 for edge in region[2:])
    x, y = int(left), int(top)
    image = cut(image, (x, y, math.ceil(right), math.ceil(bottom)))
    # Two separate passes: since version 13, Pillow chooses their order by shape, which changes the last bit.
    image = image.resize((size[0], image.height), Resampling.BILINEAR, (left - x, 0, right - x, image.height))
    return image.resize(size, Resampling.BILINEAR, (0, top - y, size[0], bottom - y))


def _in_channels(image: "Image", channels: str) -> np.ndarray:
    if channels == "grey":
        return np.asarray(image.convert("L"))[..., np.newaxis]
    seen = np.asarray(image)
    return np.ascontiguousarray(seen[..., ::-1]) if channels == "BGR" else seen
