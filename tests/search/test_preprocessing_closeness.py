"""Scaled decoding is quicker than decoding in full; the vectors must not tell which it was."""

import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lykeion.search.embedder import Embedder
from lykeion.vision import Box, decode
from lykeion.vision.decoding import MARGIN
from lykeion.vision.orientation import exif_of
from tests.vision.making import PHOTOS, REAL, encoded

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    return Embedder.load()


def cosine(embedder: Embedder, data: bytes, box: Box | None = None) -> float:
    """Of the vectors of a photo decoded in full and scaled down; it must have been scaled."""
    card = embedder.card
    full, scaled = decode(data, box=box), decode(data, at_least=card.at_least, box=box)
    assert scaled.rgb.size < full.rgb.size
    one, other = embedder.embed(np.stack([full.pixels(card), scaled.pixels(card)]))
    return float(one @ other)


def enlarged(path: Path, shorter: int) -> Image.Image:
    with Image.open(path) as image:
        size = [math.ceil(side * shorter / min(image.size)) for side in image.size]
        return image.convert("RGB").resize((size[0], size[1]), Image.Resampling.LANCZOS)


@pytest.mark.parametrize("factor", [2, 4])
@pytest.mark.parametrize("path", REAL, ids=lambda path: path.stem)
def test_a_vector_of_scaled_decoding_is_within_cosine_9995_of_the_reference(
    path: Path, factor: int, embedder: Embedder
) -> None:
    """At the size where a photo is first scaled down by that factor, which is the furthest from the reference."""
    large = enlarged(path, math.ceil(MARGIN * factor * embedder.card.at_least))
    for subsampling in ("4:4:4", "4:2:0"):
        assert cosine(embedder, encoded(large, "JPEG", quality=90, subsampling=subsampling)) >= 0.9995


@pytest.mark.parametrize("path", REAL, ids=lambda path: path.stem)
def test_so_is_that_of_a_box_in_a_photo_that_lies_on_its_side(path: Path, embedder: Embedder) -> None:
    data = encoded(enlarged(path, 3000), "JPEG", quality=90, exif=exif_of(6))
    assert cosine(embedder, data, Box(501, 202, 2501, 2303)) >= 0.9995


def test_so_is_that_of_a_large_png(embedder: Embedder) -> None:
    data = encoded(enlarged(PHOTOS / "china.jpg", 4050), compress_level=1)
    assert cosine(embedder, data) >= 0.9995
