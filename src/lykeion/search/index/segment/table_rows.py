"""Fast reading of single rows from Arrow columns."""

from collections.abc import Callable
from typing import Any, Literal, cast

import numpy as np
import pyarrow as pa

from lykeion.search.index.protocol import Value
from lykeion.search.index.schema import from_microseconds

from .kernel import RowIds


class TableRows:
    """Reads single rows of a table as dictionaries without nulls, in about 0.3 µs per value.

    Arrow's own conversion builds a scalar object for each value; this reads the buffers. ``table`` comes from
    ``Schema.to_table``; columns with several chunks are combined, which copies them.
    """

    def __init__(self, table: pa.Table) -> None:
        self._columns = [(name, column_reader(table.column(name))) for name in table.column_names]

    def __getitem__(self, row: int) -> dict[str, Value]:
        values: dict[str, Value] = {}
        for name, read in self._columns:
            value = read(row)
            if value is not None:
                values[name] = value
        return values


def column_reader(column: pa.ChunkedArray) -> Callable[[int], Value]:
    """A function from row number to value or None."""
    array = _whole(column)
    value_of = _value_reader(array)
    bitmap = array.buffers()[0]
    if not array.null_count or bitmap is None:
        return value_of
    valid, offset = memoryview(bitmap), array.offset

    def read(row: int) -> Value:
        bit = row + offset
        return value_of(row) if valid[bit >> 3] >> (bit & 7) & 1 else None

    return read


def ids_of(column: pa.ChunkedArray) -> RowIds | None:
    """A column of large strings as the kernel reads it; None if it is in several chunks."""
    if column.num_chunks != 1 or not pa.types.is_large_string(column.type):
        return None
    array = column.chunk(0)
    ends = np.frombuffer(_buffer(array, 1), np.int64, len(array) + 1, 8 * array.offset)
    return RowIds(ends, np.frombuffer(_buffer(array, 2), np.uint8))


def _whole(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _value_reader(array: pa.Array) -> Callable[[int], Any]:
    """A function from row number to value, valid only for rows that are not null."""
    kind, count = array.type, len(array)
    if pa.types.is_null(kind):
        return lambda row: None
    if pa.types.is_boolean(kind):
        bits, offset = memoryview(_buffer(array, 1)), array.offset
        return lambda row: bool(bits[row + offset >> 3] >> (row + offset & 7) & 1)
    if pa.types.is_large_string(kind):
        offsets, text = _numbers_view(array, 1, "q", count + 1), memoryview(_buffer(array, 2))
        return lambda row: str(text[offsets[row] : offsets[row + 1]], "utf-8")
    if pa.types.is_large_list(kind):
        offsets, item = _numbers_view(array, 1, "q", count + 1), _value_reader(array.values)
        return lambda row: [item(at) for at in range(offsets[row], offsets[row + 1])]
    if pa.types.is_timestamp(kind):
        moments = _numbers_view(array, 1, "q", count)
        return lambda row: from_microseconds(moments[row])
    return _numbers_view(array, 1, "d" if pa.types.is_floating(kind) else "q", count).__getitem__


def _buffer(array: pa.Array, which: int) -> pa.Buffer:
    return array.buffers()[which] or pa.py_buffer(b"")


def _numbers_view(array: pa.Array, which: int, code: Literal["q", "d"], count: int) -> "memoryview[Any]":
    """A buffer's 64-bit values, from the array's offset on, as Python numbers by index."""
    if not len(array):
        return cast(Any, memoryview(bytes(8)).cast(code))
    view = memoryview(_buffer(array, which)).cast("B")
    return cast(Any, view[array.offset * 8 : (array.offset + count) * 8].cast(code))
