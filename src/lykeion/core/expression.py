"""A filter as a tree: what ``core.grammar`` builds, and what each user evaluates or translates.

``at`` is the position of the node's column in the text, counted from 1, for error messages. Literals are kept as
written until a user that knows the column types converts them.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from .errors import Invalid

Operator: TypeAlias = Literal["=", "!=", "<", "<=", ">", ">="]
Constant: TypeAlias = "str | int | float | bool"
"""Timestamps are written as strings and become integers, microseconds since 1970 in UTC, when checked."""


class WhereError(Invalid):
    """A filter that cannot be parsed or does not fit the columns; the message gives the position."""


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
    """The column is a list, and the value is one of its items."""

    column: str
    value: Constant
    at: int = field(default=1, compare=False)


@dataclass(frozen=True, slots=True)
class Never:
    """False where the column holds a value, null where it is null. Made by checks, not written by people."""

    column: str
    at: int = field(default=1, compare=False)


Leaf: TypeAlias = Comparison | In | IsNull | Contains | Never
Expression: TypeAlias = And | Or | Not | Leaf


def truth(expression: Expression, of: Callable[[Leaf], bool | None]) -> bool | None:
    """Its truth value, from the truth ``of`` each leaf; None is unknown, like null in SQL (Kleene's logic)."""
    match expression:
        case And(terms):
            truths = [truth(term, of) for term in terms]
            return False if False in truths else None if None in truths else True
        case Or(terms):
            truths = [truth(term, of) for term in terms]
            return True if True in truths else None if None in truths else False
        case Not(term):
            inner = truth(term, of)
            return None if inner is None else not inner
        case _:
            return of(expression)


def leaves(expression: Expression) -> Iterator[Leaf]:
    """From left to right."""
    match expression:
        case And(terms) | Or(terms):
            for term in terms:
                yield from leaves(term)
        case Not(term):
            yield from leaves(term)
        case _:
            yield expression
