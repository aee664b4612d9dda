"""Copies of a photo as they turn up in catalogues."""

import io
from collections.abc import Callable

from PIL import Image, ImageOps

Photo = Image.Image


def jpeg(photo: Photo, quality: int = 95) -> bytes:
    file = io.BytesIO()
    photo.save(file, "JPEG", quality=quality)
    return file.getvalue()


def thumbnail(photo: Photo) -> bytes:
    small = photo.copy()
    small.thumbnail((192, 192))
    return jpeg(small, 85)


def cropped(photo: Photo, left: float, top: float, right: float, bottom: float) -> Photo:
    """Shares of width and height; each may be cut anywhere."""
    width, height = photo.size
    return photo.crop((round(left * width), round(top * height), round(right * width), round(bottom * height)))


COPIES: dict[str, Callable[[Photo], Photo]] = {
    "recompressed": lambda photo: Image.open(io.BytesIO(jpeg(photo, 40))).convert("RGB"),
    "half the size": lambda photo: photo.resize((photo.width // 2, photo.height // 2)),
    "cropped by 10 % around": lambda photo: cropped(photo, 0.05, 0.05, 0.95, 0.95),
    "cropped by 10 % at a corner": lambda photo: cropped(photo, 0, 0, 0.9, 0.9),
    "cropped by 20 % around": lambda photo: cropped(photo, 0.1, 0.1, 0.9, 0.9),
    "cut at the left": lambda photo: cropped(photo, 0.15, 0, 1, 1),
    "brighter": lambda photo: photo.point(lambda value: round(value * 0.85 + 15)),
}
MIRRORED = ImageOps.mirror
