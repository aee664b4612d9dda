"""Contact sheets: a query with its answers, or groups of duplicates, as one picture."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from lykeion.core import write_atomically
from lykeion.vision import Box, decode

from .index import Hit, Value

Thumbnail = Callable[[str, str], bytes | None]
"""From a product's id and a photo's name to a JPEG, or None: ``Thumbnails.get``."""

MAX_CARDS = 200
COLUMNS = 7
PHOTO, GAP, MARGIN = 168, 16, 32
"""Pixels: the side of a photo's square, between cards, around the sheet."""
LINE = 18
PAPER, CARD, INK, FAINT, ACCENT = "#ffffff", "#f2f3f5", "#1b1f24", "#6b7480", "#c2410c"


@dataclass(frozen=True, slots=True)
class Card:
    """A photo, optionally as a JPEG, and the lines below it; the first is dark, the others are lighter."""

    picture: Image.Image | bytes | None
    lines: list[str]
    accent: bool = False


def draw_sheet(
    path: Path,
    query: Path | bytes | None,
    hits: Sequence[Hit],
    thumbnail: Thumbnail,
    *,
    title: str = "query",
    box: Box | None = None,
    attributes: Sequence[str] | None = None,
) -> None:
    """Write a PNG: the query photo (if there is one, with its box), then up to MAX_CARDS answers.

    Below each answer are score, id and the named ``attributes`` (by default all that fit).
    Raises PhotoError for the query, OSError for the sheet.
    """
    cards = [Card(_query_picture(query, box), [title], accent=True)] if query is not None else []
    for hit in hits[:MAX_CARDS]:
        chosen = {name: hit.attributes.get(name) for name in attributes or hit.attributes}
        lines = [f"{hit.score:.3f}", hit.id, *_wrapped([shown(v) for v in chosen.values() if v is not None])]
        cards.append(Card(thumbnail(hit.id, hit.photo), lines))
    draw_cards(path, [("", cards)])


def draw_cards(path: Path, sections: Sequence[tuple[str, Sequence[Card]]]) -> None:
    """Write a PNG of sections, each a heading ("" for none) over rows of cards."""
    columns = min(COLUMNS, max((len(cards) for _, cards in sections), default=1) or 1)
    width = max(2 * MARGIN + columns * (PHOTO + GAP) - GAP, 480)
    sheet = Image.new("RGB", (width, 2 * MARGIN + sum(_height(*section) for section in sections)), PAPER)
    draw = ImageDraw.Draw(sheet)
    top = MARGIN
    for heading, cards in sections:
        if heading:
            draw.text((MARGIN, top), _fitted(heading, width - 2 * MARGIN, 16), INK, ImageFont.load_default(16))
            top += 2 * LINE
        for start in range(0, len(cards), COLUMNS):
            row = cards[start : start + COLUMNS]
            for column, card in enumerate(row):
                _draw_card(sheet, draw, (MARGIN + column * (PHOTO + GAP), top), card)
            top += _row_height(row)
    file = io.BytesIO()
    sheet.save(file, "PNG")
    write_atomically(path, file.getvalue(), durable=False)


def shown(value: Value) -> str:
    """An attribute's value as text."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.6g}"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d}"
    if isinstance(value, list):
        return ", ".join(shown(item) for item in value)
    return str(value)


def _height(heading: str, cards: Sequence[Card]) -> int:
    rows = (cards[start : start + COLUMNS] for start in range(0, len(cards), COLUMNS))
    return (2 * LINE if heading else 0) + sum(_row_height(row) for row in rows)


def _row_height(row: Sequence[Card]) -> int:
    return PHOTO + 10 + LINE * max(len(card.lines) for card in row) + GAP


def _draw_card(sheet: Image.Image, draw: ImageDraw.ImageDraw, at: tuple[int, int], card: Card) -> None:
    left, top = at
    frame = (left, top, left + PHOTO, top + PHOTO)
    draw.rounded_rectangle(frame, 8, CARD, ACCENT if card.accent else None, 3)
    picture = _decoded(card.picture) if isinstance(card.picture, bytes) else card.picture
    if picture is None:
        draw.text((left + PHOTO / 2, top + PHOTO / 2), "no thumbnail", FAINT, ImageFont.load_default(13), "mm")
    else:
        inset = (PHOTO - picture.width) // 2, (PHOTO - picture.height) // 2
        sheet.paste(picture, (left + inset[0], top + inset[1]))
    for row, line in enumerate(card.lines):
        size, colour = (15, ACCENT if card.accent else INK) if row == 0 else (13, FAINT)
        place = (left + 2, top + PHOTO + 8 + row * LINE)
        draw.text(place, _fitted(line, PHOTO - 4, size), colour, ImageFont.load_default(size))


def _wrapped(values: list[str], lines: int = 2) -> list[str]:
    """Values joined by dots on up to that many lines."""
    wrapped: list[str] = []
    for value in values:
        if wrapped and _width(f"{wrapped[-1]} · {value}", 13) <= PHOTO - 4:
            wrapped[-1] += f" · {value}"
        elif len(wrapped) < lines:
            wrapped.append(value)
        else:
            break
    return wrapped


def _fitted(text: str, width: int, size: int) -> str:
    """The text on one line, shortened in the middle if it is too wide, since ids differ at their ends."""
    text = "".join(letter if letter.isprintable() else "�" for letter in text[:200])
    keep = len(text)
    fitted = text
    while keep > 1 and _width(fitted, size) > width:
        keep -= 1
        fitted = text[: (keep + 1) // 2] + "…" + text[len(text) - keep // 2 :]
    return fitted


def _width(text: str, size: int) -> float:
    return ImageFont.load_default(size).getlength(text)


def _query_picture(query: Path | bytes, box: Box | None) -> Image.Image:
    decoded = decode(query, at_least=PHOTO)
    picture = Image.fromarray(decoded.rgb)
    if box:
        scale = picture.width / decoded.width
        sides = tuple(side * scale for side in (box.left, box.top, box.right, box.bottom))
        ImageDraw.Draw(picture).rectangle(sides, outline=ACCENT, width=max(2, picture.width // 80))
    return _inside(picture)


def _decoded(jpeg: bytes) -> Image.Image | None:
    try:
        return _inside(Image.open(io.BytesIO(jpeg), formats=["JPEG"]).convert("RGB"))
    except (OSError, Image.DecompressionBombError):
        return None


def _inside(picture: Image.Image) -> Image.Image:
    """Scaled to fit the square of a card, slightly smaller than its frame; small photos are enlarged."""
    room = PHOTO - 12
    scale = room / max(picture.size)
    size = (max(round(picture.width * scale), 1), max(round(picture.height * scale), 1))
    return picture.resize(size, Image.Resampling.LANCZOS)
