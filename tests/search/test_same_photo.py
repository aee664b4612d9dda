from itertools import combinations
from pathlib import Path

import pytest
from PIL import Image, ImageOps

from lykeion.search.near_duplicates import LIKENESS
from lykeion.search.same_photo import likeness, read_pixels

from .copies import COPIES, MIRRORED, Photo, jpeg, thumbnail

FOLDER = Path(__file__).parents[1] / "photos"
PHOTOS = {path.name: Image.open(path).convert("RGB") for path in sorted(FOLDER.glob("*.[jp][pn]g"))}


def alike(first: Photo, second: Photo) -> float:
    return likeness(read_pixels(thumbnail(first)), read_pixels(thumbnail(second)))


@pytest.mark.parametrize("name", PHOTOS)
@pytest.mark.parametrize("copy", COPIES)
def test_a_copy_is_the_same_photo_whichever_comes_first(name: str, copy: str) -> None:
    photo = PHOTOS[name]
    assert alike(photo, COPIES[copy](photo)) >= LIKENESS
    assert alike(COPIES[copy](photo), photo) >= LIKENESS


@pytest.mark.parametrize(("first", "second"), list(combinations(PHOTOS, 2)))
def test_other_photos_are_not(first: str, second: str) -> None:
    assert alike(PHOTOS[first], PHOTOS[second]) < LIKENESS - 0.05


@pytest.mark.parametrize("name", PHOTOS)
def test_a_mirror_image_is_not_the_same_photo(name: str) -> None:
    assert alike(PHOTOS[name], MIRRORED(PHOTOS[name])) < LIKENESS


def test_the_same_shape_in_another_colour_is_not_the_same_photo() -> None:
    grey = ImageOps.grayscale(PHOTOS["flower.jpg"])
    red, blue = (ImageOps.colorize(grey, "white", colour) for colour in ("#aa2020", "#2020aa"))
    assert alike(red, red) == pytest.approx(1, abs=1e-3)
    assert alike(red, blue) < 0.9


def test_photos_that_show_nothing_are_not_alike() -> None:
    assert alike(Image.new("RGB", (300, 200), "#888888"), Image.new("RGB", (200, 300), "#333333")) < 0.1


@pytest.mark.parametrize("size", [(1, 1), (1, 192), (192, 1), (3, 500)])
def test_any_shape_can_be_compared(size: tuple[int, int]) -> None:
    assert -1.01 <= alike(Image.new("RGB", size, "red"), PHOTOS["china.jpg"]) <= 1.01


def test_what_is_no_jpeg_is_an_error() -> None:
    with pytest.raises(OSError, match="cannot identify"):
        read_pixels(b"GIF89a")
    with pytest.raises(OSError, match="truncated"):
        read_pixels(jpeg(PHOTOS["china.jpg"])[:5000])


def test_plain_photos_are_the_same_only_where_their_pixels_are() -> None:
    white, grey = (read_pixels(thumbnail(Image.new("RGB", (80, 60), colour))) for colour in ("white", "grey"))
    assert likeness(white, read_pixels(thumbnail(Image.new("RGB", (160, 120), "white")))) == 1
    assert likeness(white, grey) < LIKENESS
