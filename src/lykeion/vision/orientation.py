"""EXIF orientation: how stored rows and columns are transformed for display (Exif 2.32, tag 0x0112)."""

import struct

from PIL.Image import Image, Transpose

_TURNS = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
SWAPS_SIDES = frozenset({5, 6, 7, 8})
LEFT_WAS_FAR = frozenset({2, 3, 6, 7})
"""The left edge, once upright, is the stored picture's right or bottom edge."""
TOP_WAS_FAR = frozenset({3, 4, 7, 8})


def orientation_of(exif: bytes) -> int:
    """1 to 8; 1 if the EXIF block has none or an invalid one: a photo is not refused for that."""
    tiff = exif.removeprefix(b"Exif\0\0")
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(order + "I", tiff, 4)
        (count,) = struct.unpack_from(order + "H", tiff, start)
        for at in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind, _, value = struct.unpack_from(order + "HHIH", tiff, at)
            if tag == 0x0112:
                return value if kind == 3 and 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1


def exif_of(orientation: int) -> bytes:
    """An EXIF block with only this field."""
    return b"Exif\0\0II*\0\x08\0\0\0\x01\0" + struct.pack("<HHIHHI", 0x0112, 3, 1, orientation, 0, 0)


def upright(image: Image, orientation: int) -> Image:
    turn = _TURNS.get(orientation)
    return image if turn is None else image.transpose(turn)
