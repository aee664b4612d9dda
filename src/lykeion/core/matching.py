"""Whether a filter is true for named values. As in SQL, a comparison with a missing one is neither true nor false."""

import operator
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from .expression import Comparison, Contains, Expression, In, IsNull, Leaf, WhereError, truth

Fields: TypeAlias = Mapping[str, Any]

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def matches(expression: Expression, fields: Fields) -> bool:
    """Whether the filter is true for these fields. Raises WhereError if a value cannot be compared."""
    return truth(expression, lambda leaf: _leaf(leaf, fields)) is True


def _leaf(leaf: Leaf, fields: Fields) -> bool | None:
    if isinstance(leaf, IsNull):
        return leaf.column not in fields
    if leaf.column not in fields:
        return None
    value = fields[leaf.column]
    match leaf:
        case Comparison(_, symbol, constant):
            _alike(leaf, value, constant)
            return _COMPARE[symbol](value, constant)
        case In(_, constants):
            for constant in constants:
                _alike(leaf, value, constant)
            return value in constants
        case Contains(_, constant):
            if not isinstance(value, list):
                raise WhereError(f"filter, character {leaf.at}: {leaf.column!r} is no list")
            return constant in value
        case _:
            raise AssertionError(leaf)


def _alike(leaf: Leaf, value: Any, constant: Any) -> None:
    kinds = {
        "truth" if isinstance(v, bool) else "text" if isinstance(v, str) else "number" for v in (value, constant)
    }
    if len(kinds) > 1 or isinstance(value, list):
        raise WhereError(
            f"filter, character {leaf.at}: {leaf.column!r} is {value!r}, which cannot be compared with {constant!r}"
        )
