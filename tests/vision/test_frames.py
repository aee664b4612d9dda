"""Frames of a camera enter where photos do: same pixels, same tensor."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lykeion.vision import Box, PhotoError, decode, from_rgb

from .making import card, encoded, real


@pytest.mark.parametrize("crop", ["centre", "letterbox", "stretch"])
@pytest.mark.parametrize("channels", ["RGB", "BGR", "grey"])
def test_a_frame_gives_the_pixels_of_a_lossless_photo_to_the_bit(crop: str, channels: str) -> None:
    per_channel = (127.0,) * (1 if channels == "grey" else 3)
    seen = card(crop=crop, channels=channels, mean=per_channel, std=per_channel, height=60, width=80)
    photo = real()
    frame = from_rgb(np.asarray(photo))
    assert np.array_equal(frame.pixels(seen), decode(encoded(photo), at_least=seen.at_least).pixels(seen))
    assert np.array_equal(frame.rgb, np.asarray(photo))


@given(st.integers(1, 90), st.integers(1, 90), st.integers(-20, 60), st.integers(-20, 60), st.integers(1, 80))
def test_a_box_of_a_frame_is_that_of_the_photo(width: int, height: int, left: int, top: int, side: int) -> None:
    rgb = np.random.default_rng(width * height).integers(0, 256, (height, width, 3), np.uint8)
    box, seen = Box(left, top, left + side, top + side), card(height=16, width=16)
    if box.within(width, height) is None:
        with pytest.raises(PhotoError, match="outside"):
            from_rgb(rgb, box=box)
        return
    of_photo = decode(encoded(Image.fromarray(rgb)), box=box).pixels(seen)
    assert np.array_equal(from_rgb(rgb, box=box).pixels(seen), of_photo)


def test_a_frame_that_is_a_view_of_a_larger_one_or_changes_later_is_what_it_was() -> None:
    whole = np.asarray(real()).copy()
    seen = card(height=32, width=32)
    frame = from_rgb(whole[::2, ::-1])
    before = frame.pixels(seen)
    assert np.array_equal(before, from_rgb(np.ascontiguousarray(whole[::2, ::-1])).pixels(seen))
    whole[:] = 0
    assert np.array_equal(frame.pixels(seen), before)


@pytest.mark.parametrize(
    "frame",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((1, 70_000, 3), np.uint8),
    ],
)
def test_what_is_no_frame_is_refused_in_one_line(frame: np.ndarray) -> None:
    with pytest.raises(PhotoError, match="camera: ") as caught:
        from_rgb(frame, name="camera")
    assert "\n" not in str(caught.value)
