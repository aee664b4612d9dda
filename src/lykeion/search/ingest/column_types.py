"""The types of a manifest's columns: told from text in CSV, declared by hand, and taken from Arrow."""

import math
import re
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any, get_args

from lykeion.search.index import ColumnType, Value

from .photo_source import SourceError

_INTEGER = re.compile(r"[+-]?(0|[1-9][0-9]{0,14})")
_NUMBER = re.compile(r"[+-]?(0|[1-9][0-9]*)(\.[0-9]+([eE][+-]?[0-9]+)?|[eE][+-]?[0-9]+)")
_BOOLEANS = {"true": True, "false": False}


def parse_declaration(text: str) -> tuple[str, ColumnType]:
    """``price=number`` as a pair. Raises SourceError."""
    name, equals, kind = text.rpartition("=")
    known = get_args(ColumnType)
    if not equals or not name or kind not in known:
        raise SourceError(f"{text!r} declares no column; write NAME=TYPE, with a type of {', '.join(known)}")
    return name, kind  # type: ignore[return-value]


class Inference:
    """Finds the narrowest type that all cells of a column fit: integer, number, boolean, else string.

    Digits that would lose something as a number make the column strings: leading zeros, more than 15 digits.
    """

    def __init__(self) -> None:
        self._possible: list[ColumnType] = ["integer", "number", "boolean", "string"]

    def see(self, text: str) -> None:
        if text and len(self._possible) > 1:
            self._possible = [kind for kind in self._possible if _fits(text, kind)]

    @property
    def kind(self) -> ColumnType:
        """The type; string for a column without values."""
        return "string" if len(self._possible) == 4 else self._possible[0]


def parse(text: str, kind: ColumnType) -> Value:
    """A cell's value; empty is null. Lists are separated by ``|``. Raises ValueError."""
    if kind in ("list", "strings"):
        return [part.strip() for part in text.split("|")] if text else None
    if kind == "numbers":
        return [_number(part.strip()) for part in text.split("|")] if text else None
    if kind == "string":
        return text or None
    text = text.strip()
    if not text:
        return None
    if kind == "integer":
        if not re.fullmatch(r"[+-]?[0-9]{1,19}", text):
            raise ValueError(f"{text[:40]!r} is not an integer")
        return int(text)
    if kind == "number":
        return _number(text)
    if kind == "boolean":
        if text.lower() not in _BOOLEANS:
            raise ValueError(f"{text[:40]!r} is neither true nor false")
        return _BOOLEANS[text.lower()]
    return _moment(text)


def convert(value: Any, kind: ColumnType | None) -> Value:
    """A value from JSON or Arrow as an attribute, of the declared type if there is one. Raises ValueError."""
    if value is None:
        return None
    if isinstance(value, str):
        return value if kind in (None, "string") else parse(value, kind)
    if kind != "string" and (isinstance(value, Decimal) or (kind == "number" and _is_integer(value))):
        value = _as_float(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("NaN, infinity and numbers beyond 1.8e308 are not kept; leave the value out")
    if kind == "string" and isinstance(value, bool | int | float | Decimal | date):
        return str(value).lower() if isinstance(value, bool) else str(value)
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, date):
        return datetime.combine(value, time(), UTC)
    if not isinstance(value, bool | int | float | list):
        raise ValueError("an attribute is a string, number, boolean, timestamp or list")
    return value


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _as_float(value: int | Decimal) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _fits(text: str, kind: ColumnType) -> bool:
    text = text.strip()
    if kind == "string" or not text:
        return True
    if kind == "boolean":
        return text.lower() in _BOOLEANS
    if _INTEGER.fullmatch(text):
        return True
    return kind == "number" and bool(_NUMBER.fullmatch(text)) and math.isfinite(float(text))


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]!r} is not a number")
    return number


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text[:40]!r} is not a time as in ISO 8601") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
