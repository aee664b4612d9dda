"""Filters made into conditions that GrowthBook's clients in every language decide as we do.

Clients agree on hashes, but not on every condition: some say that a missing value is less than 5, or that "8" is 8.
So each comparison is guarded by the declared type of its attribute, ``not`` is moved to the comparisons (in
three-valued logic, then what is unknown is not satisfied), and numbers are those that a double holds exactly.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias, cast

from lykeion.core.expression import (
    And,
    Comparison,
    Constant,
    Contains,
    Expression,
    In,
    IsNull,
    Leaf,
    Not,
    Operator,
    Or,
    WhereError,
)

AttributeType: TypeAlias = Literal["string", "number", "boolean", "strings", "numbers"]
"""``strings`` and ``numbers`` are lists."""
AttributeTypes: TypeAlias = Mapping[str, AttributeType]
Condition: TypeAlias = dict[str, Any]

LIMIT = 2**53
"""Numbers in conditions are smaller: beyond it a double does not hold every integer."""
_FIRST_SURROGATE = "\ud800"
_NEGATED: Mapping[Operator, Operator] = {"=": "!=", "!=": "=", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}
_NAMES: Mapping[Operator, str] = {"=": "$eq", "!=": "$ne", "<": "$lt", "<=": "$lte", ">": "$gt", ">=": "$gte"}


class ServerOnly(WhereError):
    """A filter that clients may decide in other ways than we do, so that only a server may decide it."""


def compile_where(expression: Expression, types: AttributeTypes) -> Condition:
    """The condition that holds where the filter is true of ``typed`` attributes.

    Raises ServerOnly, and WhereError for what cannot be meant, such as a number compared with text.
    """
    return _compiled(expression, types, True)


def typed(attributes: Mapping[str, Any], types: AttributeTypes) -> dict[str, Any]:
    """The attributes whose value is not null and, where a type is declared, of that type, as conditions see them."""
    found = {name: _of_type(value, types.get(name)) for name, value in attributes.items()}
    return {name: value for name, value in found.items() if value is not None}


def guarded(kind: AttributeType, operators: Mapping[str, Any]) -> dict[str, Any]:
    """Operators on an attribute, after those that say that it has a value of its type."""
    return {"$exists": True, "$type": "array" if kind in ("strings", "numbers") else kind, **operators}


def _compiled(expression: Expression, types: AttributeTypes, wanted: bool) -> Condition:
    """What holds where the filter is ``wanted``: true, or false."""
    match expression:
        case Not(term):
            return _compiled(term, types, not wanted)
        case And(terms) | Or(terms):
            conjunction = isinstance(expression, And) == wanted
            return {"$and" if conjunction else "$or": [_compiled(each, types, wanted) for each in terms]}
        case IsNull(column, at=at):
            guard = guarded(_type_of(column, at, types), {})
            return {column: guard if not wanted else {"$not": guard}}
        case _:
            kind = _type_of(expression.column, expression.at, types)
            return {expression.column: guarded(kind, _operators(expression, kind, wanted))}


def _type_of(column: str, at: int, types: AttributeTypes) -> AttributeType:
    if column not in types:
        known = ", ".join(sorted(types)) or "none"
        raise ServerOnly(f"filter, character {at}: no attribute {column!r} is declared; there are: {known}")
    return types[column]


def _operators(leaf: Leaf, kind: AttributeType, wanted: bool) -> Condition:
    match leaf:
        case Comparison(column, operator, value):
            _check(leaf, kind, value)
            if operator not in ("=", "!=") and isinstance(value, str) and max(value, default="") >= _FIRST_SURROGATE:
                raise ServerOnly(f"filter, character {leaf.at}: clients order {column!r} by UTF-16, where we do not")
            if operator not in ("=", "!=") and kind == "boolean":
                raise WhereError(f"filter, character {leaf.at}: {column!r} is true or false, which have no order")
            return {_NAMES[operator if wanted else _NEGATED[operator]]: value}
        case In(_, values):
            for value in values:
                _check(leaf, kind, value)
            return {"$in" if wanted else "$nin": list(values)}
        case Contains(column, value):
            if kind not in ("strings", "numbers"):
                raise WhereError(f"filter, character {leaf.at}: {column!r} is a {kind}, and no list")
            element: AttributeType = "string" if kind == "strings" else "number"
            _check(leaf, element, value)
            has = {"$elemMatch": {"$type": element, "$eq": value}}
            return has if wanted else {"$not": has}
        case _:
            raise AssertionError(leaf)


def _check(leaf: Leaf, kind: AttributeType, value: Constant) -> None:
    if _kind_of(value) != kind:
        what = "a list, which takes contains" if kind in ("strings", "numbers") else f"a {kind}"
        raise WhereError(f"filter, character {leaf.at}: {leaf.column!r} is {what}, and {value!r} is not")
    if kind == "number" and abs(cast("float", value)) >= LIMIT:
        raise ServerOnly(f"filter, character {leaf.at}: clients read {value!r} inexactly; numbers are below 2^53")


def _kind_of(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    return "string" if isinstance(value, str) else "number" if isinstance(value, int | float) else "other"


def _of_type(value: Any, kind: AttributeType | None) -> Any:
    """None for a value of another type. Other elements of a list are left out."""
    if kind in ("strings", "numbers"):
        listed = cast("Sequence[Any]", value) if isinstance(value, list) else None
        return listed if listed is None else [each for each in listed if _kind_of(each) == kind[:-1]]
    return value if kind is None or _kind_of(value) == kind else None
