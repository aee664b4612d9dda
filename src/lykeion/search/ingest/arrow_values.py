"""Arrow columns as Python values; a value that Python cannot hold does not affect the others."""

from typing import Any

import pyarrow as pa

from lykeion.core import first_line

_MOMENT = pa.timestamp("us", tz="UTC")


def python_values(column: pa.Array) -> list[Any]:
    """The column's values; a value that Python cannot hold is replaced by a ValueError with the reason.

    Times are kept to the microsecond; without a time zone they are UTC. Arrow stores UTC, so no zone is looked up.
    """
    if isinstance(column, pa.DictionaryArray):
        column = column.dictionary_decode()
    if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
        column = column.cast(_MOMENT, safe=False)
    try:
        return (column.cast(_MOMENT) if pa.types.is_timestamp(column.type) else column).to_pylist()
    except (ValueError, OverflowError, pa.ArrowException):  # caused by one value, whose position is unknown
        return [_python_value(value) for value in column]


def _python_value(value: pa.Scalar) -> Any:
    try:
        return (value.cast(_MOMENT) if pa.types.is_timestamp(value.type) else value).as_py()
    except UnicodeDecodeError:
        return ValueError("the text is not UTF-8")
    except (ValueError, OverflowError, pa.ArrowException) as error:
        if pa.types.is_timestamp(value.type) or pa.types.is_date(value.type):
            return ValueError("a time or date outside the years 1 to 9999")
        return ValueError(first_line(error))
