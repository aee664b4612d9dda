"""The columns of an index: attributes, their types, and their conversion to Arrow and JSON.

Columns are declared or inferred from values, and new ones may be added at any time. Two types are widened by other
values: integer to number (rounding existing integers beyond 2**53), and list (only
empty ones seen) to a list of strings or of numbers.
"""

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import numpy as np
import pyarrow as pa

from .errors import SchemaError
from .protocol import Attributes, ColumnType, Value

MAX_COLUMNS = 256
MAX_NAME_BYTES = 128
MAX_TEXT_BYTES = 32_768
"""UTF-8 bytes of one value: of a string, or of all strings of a list together."""
MAX_LIST_LENGTH = 1_024

ARROW: dict[ColumnType, pa.DataType] = {
    "string": pa.large_string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "timestamp": pa.timestamp("us", tz="UTC"),
    "list": pa.large_list(pa.null()),
    "strings": pa.large_list(pa.large_string()),
    "numbers": pa.large_list(pa.float64()),
}

_WIDENS: set[tuple[ColumnType, ColumnType]] = {
    ("integer", "number"),
    ("list", "strings"),
    ("list", "numbers"),
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class Schema:
    """Column names and their types, in order of appearance. ``Schema({"price": "number"})`` declares.

    Raises SchemaError for an invalid name or type.
    """

    columns: Mapping[str, ColumnType] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.columns) > MAX_COLUMNS:
            raise SchemaError(f"{len(self.columns)} attribute columns; an index has at most {MAX_COLUMNS}")
        for name, kind in self.columns.items():
            _check_name(name)
            if kind not in get_args(ColumnType):
                raise SchemaError(f"column {name!r}: unknown type {kind!r}; known: {', '.join(get_args(ColumnType))}")

    def extended(self, rows: Iterable[Attributes], ids: Sequence[str]) -> "Schema":
        """This schema with the additional columns of the rows; itself if there are none.

        ``ids[n]`` names row n in errors. Raises SchemaError if a value conflicts with its column.
        """
        columns = dict(self.columns)
        for number, row in enumerate(rows):
            for name, value in row.items():
                if value is None:
                    continue
                known = columns.get(name)
                found = _type_of(value)
                if found is None:
                    raise SchemaError(f"{_place(ids, number, name)} cannot have the value {_describe(value)}")
                if known is None or (known, found) in _WIDENS:
                    columns[name] = found
                elif not (known == found or _fits(value, found, known)):
                    raise SchemaError(
                        f"{_place(ids, number, name)} holds values of type {known}, "
                        f"but this one, {_describe(value)}, is of type {found}"
                    )
        return self if columns == self.columns else Schema(columns)

    def joined(self, other: Mapping[str, ColumnType], *, where: str) -> "Schema":
        """This schema with another's columns. Raises SchemaError, naming ``where``, for types that conflict."""
        columns = dict(self.columns)
        for name, kind in other.items():
            known = columns.setdefault(name, kind)
            if (known, kind) in _WIDENS:
                columns[name] = kind
            elif known != kind and (kind, known) not in _WIDENS:
                raise SchemaError(f"{where}: attribute {name!r} is of type {kind}, but of type {known} here")
        return Schema(columns)

    def coerce(self, rows: Iterable[Attributes], ids: Sequence[str]) -> list[dict[str, Value]]:
        """The rows as they are stored: without nulls, with values in their columns' types.

        Expects an extended schema. Timestamps are in UTC; a timestamp column accepts ISO 8601 strings with an offset.
        Raises SchemaError for values beyond the limits: NaN and infinity, long strings and lists, naive times.
        """
        coerced: list[dict[str, Value]] = []
        for number, row in enumerate(rows):
            stored: dict[str, Value] = {}
            for name, value in row.items():
                if value is None:
                    continue
                try:
                    stored[name] = STORED[self.columns[name]](value)
                except (ValueError, OverflowError) as error:
                    raise SchemaError(f"{_place(ids, number, name)}: {error}") from None
            coerced.append(stored)
        return coerced

    def to_table(self, rows: Sequence[Attributes]) -> pa.Table:
        """Coerced rows as Arrow columns, one for every column of the schema; each in one chunk."""
        arrays = [pa.array(_column_values(rows, name, kind), type=ARROW[kind]) for name, kind in self.columns.items()]
        if not arrays:  # a table without columns still has rows
            return pa.table({"_": pa.nulls(len(rows))}).select([])
        return pa.Table.from_arrays(arrays, names=list(self.columns))

    def column(self, table: pa.Table, name: str) -> pa.ChunkedArray:
        """A column of a table written under this schema or an earlier one, in its current type; null if absent."""
        arrow = ARROW[self.columns[name]]
        if name not in table.column_names:
            return pa.chunked_array([pa.nulls(len(table), arrow)])
        array = table.column(name)
        return array if array.type == arrow else array.cast(arrow, safe=False)

    def to_json(self) -> dict[str, ColumnType]:
        return dict(self.columns)

    @classmethod
    def from_json(cls, value: Mapping[str, ColumnType]) -> "Schema":
        return cls(dict(value))


def _column_values(rows: Sequence[Attributes], name: str, kind: ColumnType) -> list[Any]:
    values = [row.get(name) for row in rows]
    if (
        kind == "number"
    ):  # rows from before the column was widened have integers, which Arrow converts only up to 2**53
        return [None if value is None else float(value) for value in values]  # pyright: ignore
    return values


def encode_attributes(row: Attributes) -> str:
    """A coerced row as JSON, for a log; ``decode_attributes`` returns exactly the same row."""
    return json.dumps(row, default=_encode_timestamp, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def decode_attributes(text: str | bytes) -> dict[str, Value]:
    return {
        name: from_microseconds(value["us"]) if isinstance(value, dict) else value
        for name, value in json.loads(text).items()
    }


def to_microseconds(moment: datetime) -> int:
    """Microseconds since 1970 in UTC of an aware datetime."""
    return (moment - _EPOCH) // _MICROSECOND


def from_microseconds(count: int) -> datetime:
    return _EPOCH + timedelta(microseconds=count)


def _encode_timestamp(value: object) -> dict[str, int]:
    if not isinstance(value, datetime):
        raise TypeError(f"not an attribute value: {value!r}")
    return {"us": to_microseconds(value)}


# --- values ---


def _type_of(value: Any) -> ColumnType | None:
    if isinstance(value, str):
        return "string"
    if isinstance(value, bool | np.bool_):
        return "boolean"
    if isinstance(value, int | np.integer):
        return "integer"
    if isinstance(value, float | np.floating):
        return "number"
    if isinstance(value, datetime):
        return "timestamp"
    if isinstance(value, list | tuple):
        kinds = {_type_of(item) for item in value}
        if not kinds:
            return "list"
        if kinds == {"string"}:
            return "strings"
        if kinds <= {"integer", "number"}:
            return "numbers"
    return None


def _fits(value: Any, found: ColumnType, known: ColumnType) -> bool:
    """Whether a value of one type may be in a column of another."""
    return (found, known) in _WIDENS or (found == "string" and known == "timestamp" and _is_moment(value))


def _is_moment(text: str) -> bool:
    try:
        _timestamp(text)
    except (ValueError, OverflowError):
        return False
    return True


def _string(value: str) -> str:
    _text_bytes([value])
    return str(value)


def _text_bytes(strings: Sequence[str]) -> None:
    try:
        size = sum(len(text.encode()) for text in strings)
    except UnicodeEncodeError:
        raise ValueError("the text holds half a character (a lone surrogate)") from None
    if size > MAX_TEXT_BYTES:
        raise ValueError(f"{size:,} bytes of text; at most {MAX_TEXT_BYTES:,} are allowed")


def _integer(value: int) -> int:
    if not -(2**63) <= value < 2**63:
        raise ValueError("the integer does not fit 64 bits")
    return int(value)


def _number(value: float) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError("NaN and infinity are not supported; omit the value")
    if isinstance(value, int | np.integer) and int(number) != value:
        raise ValueError(f"the integer {value} is not exact as a 64-bit float")
    return number


def _timestamp(value: datetime | str) -> datetime:
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    if moment.utcoffset() is None:
        raise ValueError("a time without an offset from UTC; add one, such as Z or +01:00")
    # Through microseconds: a plain UTC datetime for any zone and any subclass (pandas).
    return from_microseconds(to_microseconds(moment.astimezone(UTC)))


def _list_length(value: Sequence[Any]) -> None:
    if len(value) > MAX_LIST_LENGTH:
        raise ValueError(f"a list of {len(value):,} items; at most {MAX_LIST_LENGTH:,} are allowed")


def _strings(value: Sequence[str]) -> list[str]:
    _list_length(value)
    _text_bytes(value)
    return [str(item) for item in value]


def _numbers(value: Sequence[float]) -> list[float]:
    _list_length(value)
    return [_number(item) for item in value]


STORED: dict[ColumnType, Callable[[Any], Value]] = {
    "string": _string,
    "integer": _integer,
    "number": _number,
    "boolean": bool,
    "timestamp": _timestamp,
    "list": list,
    "strings": _strings,
    "numbers": _numbers,
}
"""A value as a column of a type keeps it. Raises ValueError, OverflowError."""


# --- names and places, for errors ---


def _check_name(name: object) -> None:
    if not isinstance(name, str) or not name:
        raise SchemaError(f"an attribute's name must be a non-empty string, not {name!r}")
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        raise SchemaError(f"attribute {name!r}: the name is not valid UTF-8") from None
    if size > MAX_NAME_BYTES:
        raise SchemaError(
            f"attribute {name[:32]!r}…: the name has {size} bytes, at most {MAX_NAME_BYTES} are allowed"
        )
    if name.startswith("_"):
        raise SchemaError(f"attribute {name!r}: names that begin with an underscore are reserved")
    if not name.isprintable():
        raise SchemaError(f"attribute {name!r}: the name has a character that cannot be printed")


def _place(ids: Sequence[str], number: int, name: str) -> str:
    return f"product {ids[number]!r}: attribute {name!r}"


def _describe(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:39] + "…"
