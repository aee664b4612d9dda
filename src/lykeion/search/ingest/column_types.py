"""The types of a manifest's columns: inferred from text in CSV, declared by the user, or taken from Arrow."""

import math
import re
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any, get_args

from lykeion.search.index import ColumnType, Value, parse_value

from .photo_source import SourceError

_INTEGER = re.compile(r"[+-]?(0|[1-9][0-9]{0,14})")
_NUMBER = re.compile(r"[+-]?(0|[1-9][0-9]*)(\.[0-9]+([eE][+-]?[0-9]+)?|[eE][+-]?[0-9]+)")


def parse_declaration(text: str) -> tuple[str, ColumnType]:
    """``price=number`` as a pair. Raises SourceError."""
    name, equals, kind = text.rpartition("=")
    known = get_args(ColumnType)
    if not equals or not name or kind not in known:
        raise SourceError(f"{text!r} declares no column; write NAME=TYPE, with a type of {', '.join(known)}")
    return name, kind  # type: ignore[return-value]


class Inference:
    """Finds the narrowest type that all cells of a column fit: integer, number, boolean, else string.

    Digits that a number would not preserve make it a column of strings: leading zeros, more than 15 digits.
    """

    def __init__(self) -> None:
        self.cells = self.numbers = 0
        """Counts of the cells that are not empty, and of those of them that are numbers, integers included."""
        self.first_other = ""
        """The first cell that is neither empty nor a number, and its location."""
        self._integers = self._booleans = 0

    def see(self, text: str, line: int = 0) -> None:
        text = text.strip()
        if not text:
            return
        self.cells += 1
        if text[0] in "+-0123456789":
            if _INTEGER.fullmatch(text):
                self._integers += 1
                self.numbers += 1
                return
            if _NUMBER.fullmatch(text) and math.isfinite(float(text)):
                self.numbers += 1
                return
        elif text.lower() in ("true", "false"):
            self._booleans += 1
        if not self.first_other:
            self.first_other = f"{text[:40]!r} in line {line}"

    @property
    def kind(self) -> ColumnType:
        """The type; string for a column without values."""
        counts: dict[ColumnType, int] = {
            "integer": self._integers,
            "number": self.numbers,
            "boolean": self._booleans,
        }
        for kind, count in counts.items():
            if count == self.cells > 0:
                return kind
        return "string"

    @property
    def is_mostly_numbers(self) -> bool:
        """Whether it became a column of strings although most of its cells are numbers."""
        return self.kind == "string" and 2 * self.numbers > self.cells


def convert(value: Any, kind: ColumnType | None) -> Value:
    """A value from JSON or Arrow as an attribute, of the declared type if there is one. Raises ValueError."""
    if value is None:
        return None
    if isinstance(value, str):
        return value if kind in (None, "string") else parse_value(value, kind)
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


def go_together(given: ColumnType, stored: ColumnType) -> bool:
    """Whether values of type ``given`` can be added to a column of type ``stored``, which may be widened for them."""
    lists = ("list", "strings", "numbers")
    return given == stored or {given, stored} == {"integer", "number"} or (
        given in lists and stored in lists and "list" in (given, stored)
    )  # fmt: skip


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _as_float(value: int | Decimal) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf
