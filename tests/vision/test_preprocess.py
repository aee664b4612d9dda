import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lykeion.vision import Box, ModelCard, decode, normalise

from .making import PHOTOS, card, encoded, real

CHINA = PHOTOS / "china.jpg"


def resized(image: Image.Image, size: tuple[int, int], part: tuple[float, float, float, float]) -> np.ndarray:
    """The reference by Pillow itself, which filters along one side where the other keeps its size."""
    left, top, right, bottom = part
    x, y = math.floor(left), math.floor(top)
    cut = image.crop((x, y, math.ceil(right), math.ceil(bottom)))
    rows = cut.resize((size[0], cut.height), Image.Resampling.BILINEAR, (left - x, 0, right - x, cut.height))
    return np.asarray(rows.resize(size, Image.Resampling.BILINEAR, (0, top - y, size[0], bottom - y)))


def test_the_centre_of_a_photo_is_the_largest_part_of_the_inputs_shape() -> None:
    with Image.open(CHINA) as image:  # 640×427
        expected = resized(image, (224, 224), (106.5, 0, 533.5, 427))
        assert np.array_equal(decode(CHINA).pixels(card()), expected)
        expected = resized(image, (100, 50), (0, 53.5, 640, 373.5))
        assert np.array_equal(decode(CHINA).pixels(card(width=100, height=50)), expected)


def test_the_crop_fraction_narrows_the_part_to_its_middle() -> None:
    with Image.open(CHINA) as image:
        expected = resized(image, (224, 224), (133.1875, 26.6875, 506.8125, 400.3125))
        assert np.array_equal(decode(CHINA).pixels(card(crop_fraction=0.875)), expected)


def test_stretching_shows_all_of_the_photo() -> None:
    with Image.open(CHINA) as image:
        assert np.array_equal(
            decode(CHINA).pixels(card(crop="stretch")), resized(image, (224, 224), (0, 0, 640, 427))
        )


def test_a_letterbox_shows_all_of_the_photo_in_its_shape_on_the_mean_colour() -> None:
    pixels = decode(CHINA).pixels(card(crop="letterbox", mean=(10.0, 20.4, 900.0)))
    with Image.open(CHINA) as image:
        assert np.array_equal(pixels[37:186], resized(image, (224, 149), (0, 0, 640, 427)))
    assert (pixels[:37] == (10, 20, 255)).all()
    assert (pixels[186:] == (10, 20, 255)).all()


def test_a_box_is_the_photo() -> None:
    whole = real()
    box = (31, 17, 140, 150)
    boxed = decode(encoded(whole), box=Box(*box)).pixels(card(crop="stretch"))
    assert np.array_equal(boxed, resized(whole, (224, 224), box))


def test_colours_come_in_the_cards_order() -> None:
    rgb = decode(CHINA).pixels(card())
    assert np.array_equal(decode(CHINA).pixels(card(channels="BGR")), rgb[..., ::-1])
    grey = decode(CHINA).pixels(card(channels="grey", mean=(0.0,), std=(255.0,)))
    assert grey.shape == (224, 224, 1)
    assert np.abs(grey[..., 0] - rgb @ [0.299, 0.587, 0.114]).max() <= 1


def test_normalised_values_are_float32_in_the_batchs_shape() -> None:
    batch = np.array([[[[0, 127, 255]]], [[[1, 2, 3]]]], np.uint8)
    values = normalise(batch, card(mean=(0.0, 127.0, 127.5), std=(255.0, 1.0, 127.5)))
    assert values.dtype == np.float32
    assert values.shape == batch.shape
    assert values[0].ravel().tolist() == [0, 0, 1]
    assert np.allclose(values[1].ravel(), [1 / 255, -125, -124.5 / 127.5], atol=1e-7)


@given(
    st.integers(1, 60),
    st.integers(1, 60),
    st.integers(1, 40),
    st.integers(1, 40),
    st.sampled_from(["centre", "stretch"]),
)
def test_whole_number_arithmetic_gives_the_same_pixels_to_the_bit(
    width: int, height: int, across: int, down: int, crop: str
) -> None:
    """Devices need no Pillow for the reference: this is all of it."""
    rgb = np.random.default_rng(width * height).integers(0, 256, (height, width, 3), np.uint8)
    wanted = card(width=across, height=down, crop=crop)
    pixels = decode(encoded(Image.fromarray(rgb))).pixels(wanted)
    left, top, right, bottom = part(width, height, wanted)
    rows = filtered(rgb, left, right, across)
    assert np.array_equal(pixels, filtered(rows.swapaxes(0, 1), top, bottom, down).swapaxes(0, 1))


def part(width: int, height: int, wanted: ModelCard) -> tuple[float, float, float, float]:
    if wanted.crop == "stretch":
        return 0, 0, width, height
    factor = min(width / wanted.width, height / wanted.height)
    x, y = wanted.width * factor / 2, wanted.height * factor / 2
    edges = max(width / 2 - x, 0), max(height / 2 - y, 0), min(width / 2 + x, width), min(height / 2 + y, height)
    left, top, right, bottom = edges
    return (
        math.floor(left * 256) / 256,
        math.floor(top * 256) / 256,
        math.ceil(right * 256) / 256,
        math.ceil(bottom * 256) / 256,
    )


def filtered(pixels: np.ndarray, start: float, stop: float, size: int) -> np.ndarray:
    """Columns ``start`` to ``stop`` resized to ``size``: a triangle of a pixel or more each way, in 1/2²² parts."""
    first = math.floor(start)
    pixels = pixels[:, first : math.ceil(stop)]
    start, stop = start - first, stop - first
    if (start, stop) == (0, size) and size == pixels.shape[1]:
        return pixels
    step = (stop - start) / size
    reach = max(step, 1.0)
    columns = []
    for column in range(size):
        centre = start + (column + 0.5) * step
        first = max(int(centre - reach + 0.5), 0)
        last = min(int(centre + reach + 0.5), pixels.shape[1])
        weights = [max(1 - abs((x - centre + 0.5) / reach), 0.0) for x in range(first, last)]
        parts = [math.floor(0.5 + weight / sum(weights) * 2**22) for weight in weights]
        sums = (pixels[:, first:last].astype(np.int64) * np.array(parts)[:, None]).sum(axis=1)
        columns.append(np.clip((sums + 2**21) >> 22, 0, 255))
    return np.stack(columns, axis=1).astype(np.uint8)


def test_the_thinnest_part_of_the_thinnest_photo_has_pixels() -> None:
    for wanted in (card(height=1, width=4096), card(height=4096, width=1, crop_fraction=0.01)):
        for size in ((1, 1), (1, 3000), (3000, 1)):
            assert decode(encoded(Image.new("RGB", size, "red"))).pixels(wanted)[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("size", [(1, 9), (9, 1), (2, 2)])
def test_photos_smaller_than_the_input_are_enlarged(size: tuple[int, int]) -> None:
    image = Image.new("RGB", size, (7, 8, 9))
    assert (decode(encoded(image)).pixels(card()) == (7, 8, 9)).all()
