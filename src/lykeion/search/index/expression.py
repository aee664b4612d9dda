"""A filter as a tree: what the parser builds, and what each backend evaluates or translates.

``at`` is where in the text the node's column stands, counted from 1, for errors. Literals are as written after
parsing, and in their columns' types after ``where.check``.
"""

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Operator: TypeAlias = Literal["=", "!=", "<", "<=", ">", ">="]
Constant: TypeAlias = "str | int | float | bool"
"""Timestamps are written as strings and become integers, microseconds since 1970 in UTC, when checked."""


@dataclass(frozen=True, slots=True)
class And:
    terms: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class Or:
    terms: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class Not:
    term: "Expression"


@dataclass(frozen=True, slots=True)
class Comparison:
    column: str
    operator: Operator
    value: Constant
    at: int = field(default=1, compare=False)


@dataclass(frozen=True, slots=True)
class In:
    column: str
    values: tuple[Constant, ...]
    at: int = field(default=1, compare=False)


@dataclass(frozen=True, slots=True)
class IsNull:
    column: str
    at: int = field(default=1, compare=False)


@dataclass(frozen=True, slots=True)
class Contains:
    """The column is a list and the value one of its items."""

    column: str
    value: Constant
    at: int = field(default=1, compare=False)


@dataclass(frozen=True, slots=True)
class Never:
    """False where the column holds a value, null where it is null. Not written by people; ``check`` makes it."""

    column: str
    at: int = field(default=1, compare=False)


Leaf: TypeAlias = Comparison | In | IsNull | Contains | Never
Expression: TypeAlias = And | Or | Not | Leaf
