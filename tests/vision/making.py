"""Photos made for a test."""

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lykeion.vision import ModelCard

PHOTOS = Path(__file__).parents[1] / "photos"
REAL = tuple(sorted(path for path in PHOTOS.iterdir() if path.suffix in (".jpg", ".png")))
ENCODINGS = ("JPEG", "PNG", "WEBP", "GIF", "AVIF", "HEIF")


def encoded(image: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    if form == "HEIF":
        import pillow_heif

        pillow_heif.register_heif_opener()
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def real(width: int = 240, height: int = 160) -> Image.Image:
    """A real photo in that size, with no profile."""
    image = Image.open(PHOTOS / "china.jpg").convert("RGB").resize((width, height))
    image.info.clear()
    return image


def card(**changes: Any) -> ModelCard:
    fields: dict[str, Any] = {
        "name": "test",
        "height": 224,
        "width": 224,
        "channels": "RGB",
        "mean": (127.0, 127.0, 127.0),
        "std": (128.0, 128.0, 128.0),
        "crop": "centre",
        "crop_fraction": 1.0,
        "output": "embedding",
        "dimension": 1280,
    }
    return ModelCard(**fields | changes)


def png_chunk(kind: bytes, content: bytes = b"") -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(
    width: int,
    height: int,
    *chunks: bytes,
    depth: int = 8,
    colour: int = 2,
    pixels: bytes = b"",
    interlaced: bool = False,
) -> bytes:
    """A PNG with those chunks before its pixels, which are the raw scan lines."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced))
    data = png_chunk(b"IDAT", zlib.compress(pixels))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + data + png_chunk(b"IEND")


def difference(a: np.ndarray, b: np.ndarray) -> float:
    """The mean absolute difference of two pictures, in levels of 0 to 255."""
    assert a.shape == b.shape
    return float(np.abs(a.astype(np.int16) - b.astype(np.int16)).mean())
