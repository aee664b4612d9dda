"""The colour that a PNG without alpha declares transparent. (W3C PNG, section 11.3.2.1.)"""

from functools import reduce
from io import BytesIO

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

_SHALLOW = {"L;2": (0b11, 0x55), "L;4": (0b1111, 0x11)}
"""The bits of a sample, and what Pillow multiplies it by."""


def make_key_white(photo: Image.Image, data: bytes) -> None:
    """Load the photo, whose file is ``data``, and make the pixels white whose samples are the key's in every bit.

    Pillow scales grey of 2 and 4 bits to 8, and cuts colour of 16 bits to 8; the key it gives as the file has it. A
    palette has an alpha for each of its colours instead, which Pillow knows.
    """
    assert isinstance(photo, PngImageFile)
    key = None if photo.mode == "P" else photo.info.pop("transparency", None)
    if key is None:
        photo.load()
        return
    stored = photo.tile[0].args
    photo.load()
    if stored == "RGB;16B":
        low = PngImageFile(BytesIO(data))
        low.tile = [low.tile[0]._replace(args="RGB;16L")]  # which keeps the other byte
        transparent = _same(photo, [value >> 8 for value in key]) & _same(low, [value & 255 for value in key])
    elif photo.mode == "RGB":
        transparent = _same(photo, [value & 255 for value in key])
    elif photo.mode == "1":
        transparent = np.asarray(photo) == bool(key)
    elif photo.mode == "L":
        bits, scale = _SHALLOW.get(str(stored), (255, 1))
        transparent = np.asarray(photo) == (key & bits) * scale
    else:
        transparent = np.asarray(photo) == key
    white = {"RGB": (255, 255, 255), "I;16": 65_535}.get(photo.mode, 255)
    photo.paste(white, mask=Image.fromarray(transparent).convert("L"))  # a mask of bits goes wrong in I;16


def _same(photo: Image.Image, colour: list[int]) -> np.ndarray:
    """Where the RGB photo has that colour: bool (height, width)."""
    return reduce(np.logical_and, (np.asarray(photo.getchannel(band)) == value for band, value in enumerate(colour)))
