"""Values of JSON compared as JavaScript compares them, on which GrowthBook's conditions are defined."""

import math
from collections.abc import Mapping, Sequence
from types import NoneType
from typing import Any, TypeAlias, cast

Value: TypeAlias = Any
"""What ``json.loads`` returns; a missing attribute is None, like null."""


def as_object(value: Value) -> Mapping[str, Value] | None:
    return cast("Mapping[str, Value]", value) if isinstance(value, dict) else None


def as_list(value: Value) -> Sequence[Value] | None:
    return cast("Sequence[Value]", value) if isinstance(value, list) else None


def same(one: Value, other: Value) -> bool:
    """``===``: no conversion; lists and objects are never the same as others."""
    if isinstance(one, list | dict) or isinstance(other, list | dict):
        return one is other
    return isinstance(one, bool) == isinstance(other, bool) and type_of(one) == type_of(other) and one == other


def less(one: Value, other: Value) -> bool:
    """``<``: two strings by UTF-16 code units, everything else as numbers."""
    if isinstance(one, str) and isinstance(other, str):
        return one.encode("utf-16-be", "surrogatepass") < other.encode("utf-16-be", "surrogatepass")
    return number(one) < number(other)


def less_or_same(one: Value, other: Value) -> bool:
    """``<=``, which is false where a value is no number."""
    if isinstance(one, str) and isinstance(other, str):
        return not less(other, one)
    return number(one) <= number(other)


def number(value: Value) -> float:
    """``Number(value)``; nan for what is none."""
    if value is None:
        return 0.0
    if isinstance(value, float):
        return value
    if isinstance(value, int):
        return _parsed(str(int(value)))
    if isinstance(value, str):
        return _parsed(value.strip() or "0")
    return math.nan


def _parsed(digits: str) -> float:
    """Infinite for a number that is too large."""
    try:
        return float(digits)
    except ValueError:
        return math.nan


def text(value: Value) -> str:
    """``String(value)``, for what is no list or object."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def type_of(value: Value) -> str:
    return _TYPES.get(cast("type[Any]", type(value)), "unknown")


_TYPES: Mapping[type, str] = {
    NoneType: "null", bool: "boolean", int: "number", float: "number", str: "string", list: "array", dict: "object"
}  # fmt: skip
