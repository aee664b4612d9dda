"""The colour that a PNG declares transparent: a pixel has it where every bit agrees. (W3C PNG, 11.3.2.1.)"""

import struct

import numpy as np
import pytest

from lykeion.vision import PhotoError, decode

from .making import png, png_chunk


def packed(levels: list[int], depth: int) -> bytes:
    """One scan line of grey."""
    bits = "".join(f"{level:0{depth}b}" for level in levels)
    bits += "0" * (-len(bits) % 8)
    return b"\0" + int(bits, 2).to_bytes(len(bits) // 8)


def grey_key(level: int) -> bytes:
    return png_chunk(b"tRNS", struct.pack(">H", level))


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_exactly_the_declared_level_of_grey_is_white_at_every_depth(depth: int) -> None:
    levels = list(range(min(1 << depth, 256)))
    for key in {0, 1, len(levels) - 2}:
        data = png(len(levels), 1, grey_key(key), depth=depth, colour=0, pixels=packed(levels, depth))
        expected = [level * 255 // ((1 << depth) - 1) if depth < 16 else level >> 8 for level in levels]
        expected[key] = 255
        assert decode(data).rgb[0, :, 0].tolist() == expected


@pytest.mark.parametrize("depth", [2, 4, 8])
def test_of_a_level_with_too_many_bits_the_lowest_count(depth: int) -> None:
    data = png(2, 1, grey_key((1 << depth) + 1), depth=depth, colour=0, pixels=packed([1, 2], depth))
    assert [grey == 255 for grey in decode(data).rgb[0, :, 0]] == [True, False]


def test_a_colour_of_eight_bits_is_white_where_all_three_samples_are_the_declared() -> None:
    pixels = np.array([[(1, 2, 3), (1, 2, 4), (1, 9, 3), (3, 2, 1)]], np.uint8)
    data = png(4, 1, png_chunk(b"tRNS", struct.pack(">HHH", 1, 2, 3)), pixels=b"\0" + pixels.tobytes())
    pixels[0, 0] = 255
    assert decode(data).rgb.tolist() == pixels.tolist()


@pytest.mark.parametrize("interlaced", [False, True])
def test_a_colour_of_sixteen_bits_is_white_only_where_the_low_bytes_agree_as_well(interlaced: bool) -> None:
    key = (0x1234, 0x5678, 0x9ABC)
    for colour, expected in {
        key: [255, 255, 255],
        (0x1234, 0x5678, 0x9ABD): [0x12, 0x56, 0x9A],
        (0x1334, 0x5678, 0x9ABC): [0x13, 0x56, 0x9A],
        (0x3434, 0x7878, 0xBCBC): [0x34, 0x78, 0xBC],
    }.items():
        chunk, pixels = png_chunk(b"tRNS", struct.pack(">HHH", *key)), b"\0" + struct.pack(">HHH", *colour)
        data = png(1, 1, chunk, depth=16, pixels=pixels, interlaced=interlaced)
        assert decode(data).rgb.tolist() == [[expected]]


def test_a_key_that_is_cut_off_is_an_error() -> None:
    with pytest.raises(PhotoError, match="cannot be decoded as PNG"):
        decode(png(1, 1, png_chunk(b"tRNS", b"\0\1"), pixels=b"\0\1\2\3"))
