"""How photos are fitted to the input of a network: when loaded here, and later by its model card."""

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np

from lykeion.vision import ModelCard, pixels

from .errors import DataError

Fit: TypeAlias = Literal["pad", "centre", "letterbox", "stretch"]
FITS: tuple[Fit, ...] = get_args(Fit)

PHOTO_MEAN = PHOTO_STD = 127.5
"""Pixels on 0..255 become (pixel − MEAN) / STD, for every network trained here."""


@dataclass(frozen=True, slots=True)
class Frame:
    """The size of photos. ``channels`` is 3, or 1 for grey.

    ``fit`` is the model card's ``crop``, or "pad": unscaled with a black border, as is usual for small images.
    """

    height: int
    width: int
    channels: int
    fit: Fit

    def card(self, name: str, output: str, dimension: int, source: str = "") -> ModelCard:
        """The card of a network trained on such photos. Cards do not have "pad"; letterbox is the closest."""
        return ModelCard(
            name=name,
            height=self.height,
            width=self.width,
            channels="grey" if self.channels == 1 else "RGB",
            mean=(PHOTO_MEAN,) * self.channels,
            std=(PHOTO_STD,) * self.channels,
            crop="letterbox" if self.fit == "pad" else self.fit,
            crop_fraction=1.0,
            output=output,
            dimension=dimension,
            source=source,
        )

    def place(self, images: np.ndarray) -> np.ndarray:
        """uint8 (n, h, w, c) to (n, height, width, channels). Raises DataError."""
        if images.shape[1:3] != (self.height, self.width):
            images = self._pad(images) if self.fit == "pad" else self._resize(images)
        if images.shape[3] == self.channels:
            return images
        return images.repeat(3, axis=3) if self.channels == 3 else _grey(images)

    def _pad(self, images: np.ndarray) -> np.ndarray:
        count, height, width, channels = images.shape
        if height > self.height or width > self.width:
            raise DataError(
                f"photos of {height}×{width} are larger than the network's {self.height}×{self.width}: "
                "choose --fit centre, letterbox or stretch"
            )
        top, left = (self.height - height) // 2, (self.width - width) // 2
        padded = np.zeros((count, self.height, self.width, channels), np.uint8)
        padded[:, top : top + height, left : left + width] = images
        return padded

    def _resize(self, images: np.ndarray) -> np.ndarray:
        from PIL import Image

        channels = images.shape[3]
        card = Frame(self.height, self.width, channels, self.fit).card("photos", "embedding", 1)
        resized = np.empty((len(images), self.height, self.width, channels), np.uint8)
        region = (0.0, 0.0, float(images.shape[2]), float(images.shape[1]))
        for place, image in enumerate(images):
            photo = Image.fromarray(image[..., 0] if channels == 1 else image).convert("RGB")
            resized[place] = pixels(photo, region, card)
        return resized


def normalise(images: np.ndarray) -> np.ndarray:
    """uint8 to float32 in −1..1, the normalisation of the model card."""
    return (images.astype(np.float32) - np.float32(PHOTO_MEAN)) / np.float32(PHOTO_STD)


def _grey(images: np.ndarray) -> np.ndarray:
    """ITU-R 601 luma with Pillow's integer weights."""
    luma = images.astype(np.uint32) @ np.array([19595, 38470, 7471], np.uint32)
    return ((luma + 0x8000) >> 16).astype(np.uint8)[..., None]
