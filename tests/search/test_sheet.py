import io
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lykeion.search.index import Hit
from lykeion.search.sheet import COLUMNS, MARGIN, MAX_CARDS, PHOTO, Card, draw_cards, draw_sheet, shown
from lykeion.vision import Box, PhotoError

PHOTOS = Path(__file__).parents[1] / "photos"


def jpeg(colour: str, size: tuple[int, int] = (192, 128)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "JPEG")
    return file.getvalue()


def hits(count: int) -> list[Hit]:
    return [Hit(f"p{n}", 1 - n / 1000, attributes={"category": "bag", "price": 1000 + n}) for n in range(count)]


def cell(sheet: Path, column: int, row_top: int = MARGIN) -> tuple[int, ...]:
    """The colour in the middle of a card."""
    pixels = np.asarray(Image.open(sheet).convert("RGB"))
    return tuple(int(v) for v in pixels[row_top + PHOTO // 2, MARGIN + column * (PHOTO + 16) + PHOTO // 2])


def test_the_query_comes_first_and_the_answers_in_order(tmp_path: Path) -> None:
    sheet, colours = tmp_path / "sheet.png", {"p0": "#ff0000", "p1": "#0000ff"}
    draw_sheet(sheet, jpeg("#00ff00"), hits(2), lambda id, photo: jpeg(colours[id]))
    red, green, blue = cell(sheet, 1), cell(sheet, 0), cell(sheet, 2)
    assert red[0] > 240 > 15 > red[1]
    assert green[1] > 240 > 15 > green[0]
    assert blue[2] > 240 > 15 > blue[0]


def test_answers_without_a_thumbnail_or_with_a_broken_one_are_still_on_the_sheet(tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.png"
    draw_sheet(sheet, None, hits(2), lambda id, photo: None if id == "p0" else jpeg("red")[:40])
    with Image.open(sheet) as picture:
        assert picture.width >= 2 * (MARGIN + PHOTO)


@pytest.mark.slow
def test_a_sheet_stays_a_picture_however_many_answers(tmp_path: Path) -> None:
    few, many = tmp_path / "few.png", tmp_path / "many.png"
    draw_sheet(few, None, hits(MAX_CARDS), lambda id, photo: None)
    draw_sheet(many, None, hits(MAX_CARDS * 3), lambda id, photo: None)
    with Image.open(few) as first, Image.open(many) as second:
        assert first.size == second.size
        assert first.width == 2 * MARGIN + COLUMNS * (PHOTO + 16) - 16


def test_any_id_and_attribute_can_be_drawn(tmp_path: Path) -> None:
    odd = {"long": "x" * 5000, "lines": "a\nb\x1b[0m", "list": ["赤", "青"], "none": None, "when": datetime.now(UTC)}
    draw_sheet(tmp_path / "sheet.png", None, [Hit("é/" * 250, 0.5, attributes=odd)], lambda id, photo: None)
    assert (tmp_path / "sheet.png").stat().st_size > 0


def test_nothing_found_is_still_a_picture(tmp_path: Path) -> None:
    draw_sheet(tmp_path / "none.png", None, [], lambda id, photo: None)
    draw_cards(tmp_path / "empty.png", [])
    assert Image.open(tmp_path / "none.png").size == Image.open(tmp_path / "empty.png").size


def test_the_box_is_drawn_where_it_is_in_the_photo(tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.png"
    draw_sheet(sheet, PHOTOS / "china.jpg", [], lambda id, photo: None, box=Box(200, 100, 440, 327))
    with_box = np.asarray(Image.open(sheet).convert("RGB")).astype(int)
    draw_sheet(sheet, PHOTOS / "china.jpg", [], lambda id, photo: None)
    without = np.asarray(Image.open(sheet).convert("RGB")).astype(int)
    rows, columns = np.nonzero(np.abs(with_box - without).sum(2) > 60)
    scale = (PHOTO - 12) / 640
    left, top = MARGIN + 6, MARGIN + (PHOTO - round(427 * scale)) // 2
    assert columns.min() == pytest.approx(left + 200 * scale, abs=3)
    assert columns.max() == pytest.approx(left + 440 * scale, abs=3)
    assert rows.min() == pytest.approx(top + 100 * scale, abs=3)
    assert rows.max() == pytest.approx(top + 327 * scale, abs=3)


def test_a_query_that_is_no_photo_is_an_error_and_leaves_no_sheet(tmp_path: Path) -> None:
    with pytest.raises(PhotoError):
        draw_sheet(tmp_path / "sheet.png", b"no photo", hits(1), lambda id, photo: None)
    assert not (tmp_path / "sheet.png").exists()


def test_sections_have_their_headings_and_rows(tmp_path: Path) -> None:
    cards = [Card(jpeg("red"), ["a"])] * (COLUMNS + 1)
    draw_cards(tmp_path / "one.png", [("", cards)])
    draw_cards(tmp_path / "two.png", [("first", cards), ("second", cards)])
    with Image.open(tmp_path / "one.png") as one, Image.open(tmp_path / "two.png") as two:
        assert two.height > 2 * (one.height - 2 * MARGIN)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (12345, "12,345"),
        (0.5, "0.5"),
        (True, "yes"),
        (["a", "b"], "a, b"),
        (datetime(2026, 11, 2, tzinfo=UTC), "2026-11-02"),
    ],
)
def test_attributes_are_shown_as_people_write_them(value: object, text: str) -> None:
    assert shown(value) == text  # pyright: ignore[reportArgumentType]
