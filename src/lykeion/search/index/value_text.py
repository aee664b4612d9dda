"""Values as text and back: a cell of a CSV as a value of a type, and a stored value as one of another type."""

import math
import re
from datetime import UTC, datetime

from .protocol import Value
from .schema import STORED, ColumnType

_BOOLEANS = {"true": True, "false": False}


def parse_value(text: str, kind: ColumnType) -> Value:
    """A cell's value; empty is null. Lists are separated by ``|``, times are ISO 8601, in UTC if they name no zone.

    Raises ValueError.
    """
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


def text_of(value: Value) -> str:
    """What ``parse_value`` reads as the same value."""
    if isinstance(value, list):
        return "|".join(map(text_of, value))
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return value.isoformat() if isinstance(value, datetime) else str(value)


def retyped(value: Value, kind: ColumnType) -> Value:
    """The value of another type that has the same text; of a list, that of its items. Raises ValueError for none."""
    if isinstance(value, list) and kind in ("strings", "numbers"):
        if "" in value:
            raise ValueError("an empty text is not a number")
        found: Value = [parse_value(text_of(item), "string" if kind == "strings" else "number") for item in value]  # pyright: ignore
    else:
        found = parse_value(text_of(value), kind)
    return None if found is None else STORED[kind](found)


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
