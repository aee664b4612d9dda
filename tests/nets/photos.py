"""The photos on which networks are compared with their references, prepared by Pillow alone."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

PHOTOS = Path(__file__).parents[1] / "photos"
NAMES = ("chelsea.png", "china.jpg", "flower.jpg", "rocket.jpg")


def prepared(side: int = 224) -> np.ndarray:
    """uint8 (photos, side, side, 3): centre crop, antialiased bilinear resize."""
    return np.stack(
        [np.asarray(ImageOps.fit(_open(name), (side, side), Image.Resampling.BILINEAR), np.uint8) for name in NAMES]
    )


def _open(name: str) -> Image.Image:
    return Image.open(PHOTOS / name).convert("RGB")
