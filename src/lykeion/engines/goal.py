"""What is wanted of a model on a device: ``latency_ms <= 5 and top1 >= 0.90, minimise size_bytes``.

Before the comma a condition in the language of ``core.grammar``, which may be left out; after it, what decides
between those that meet it. While measuring goes on a number is known as an interval, and a condition may be neither
true nor false yet.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from lykeion.core import LykeionError
from lykeion.core.expression import And, Comparison, Expression, In, IsNull, Leaf, Not, Or

Interval: TypeAlias = tuple[float, float]
"""The least and the most that a number can be; twice the same where it is known."""
Known: TypeAlias = Mapping[str, Interval | str]

NUMBERS = (
    "latency_ms",
    "p50_ms",
    "p90_ms",
    "p99_ms",
    "cold_start_ms",
    "memory_bytes",
    "size_bytes",
    "multiply_adds",
    "energy_uj",
    "top1",
    "threads",
)
TEXTS = ("model", "engine", "precision")

_ORDER = re.compile(r"^(?:(?P<where>.*),)?\s*(?P<verb>minimi[sz]e|maximi[sz]e)\s+(?P<name>\w+)\s*$", re.DOTALL)


class GoalError(LykeionError):
    """A goal that cannot be read, or asks for what is not measured."""


@dataclass(frozen=True, slots=True)
class Goal:
    """``where`` is None where every model is good enough."""

    text: str
    where: Expression | None
    objective: str
    maximise: bool

    @property
    def names(self) -> frozenset[str]:
        """All that has to be known."""
        return frozenset({self.objective, *(_columns(self.where) if self.where else ())})

    def truth(self, known: Known) -> bool | None:
        """None where too little is known."""
        return True if self.where is None else _truth(self.where, known)

    def cost(self, known: Known) -> Interval:
        """What is to be as small as possible; anything where it is not known."""
        value = known.get(self.objective, (float("-inf"), float("inf")))
        low, high = value if isinstance(value, tuple) else (float("-inf"), float("inf"))
        return (-high, -low) if self.maximise else (low, high)

    def failing(self, known: Known) -> str:
        """What of these makes the condition false: "latency_ms is 7.2"."""
        return ", ".join(
            f"{leaf.column} is {_shown(known[leaf.column])}"
            for leaf in (_leaves(self.where) if self.where else ())
            if leaf.column in known and _truth(leaf, known) is False
        )


def parse_goal(text: str) -> Goal:
    """Raises GoalError, WhereError."""
    from lykeion.core.grammar import parse

    match = _ORDER.match(text)
    if match is None:
        raise GoalError(
            f"goal {text[:80]!r}: end it with what decides, such as 'latency_ms <= 5, minimise size_bytes'"
        )
    where = parse(match["where"]) if (match["where"] or "").strip() else None
    goal = Goal(text, where, match["name"], match["verb"].startswith("max"))
    if goal.objective not in NUMBERS:
        raise GoalError(f"goal: {goal.objective!r} cannot be made small or large; there are {', '.join(NUMBERS)}")
    for leaf in _leaves(where) if where else ():
        _check(leaf)
    return goal


def exact(value: float | str) -> Interval | str:
    """A measured value as ``Known`` has it."""
    return value if isinstance(value, str) else (float(value), float(value))


def _check(leaf: Leaf) -> None:
    if leaf.column not in (*NUMBERS, *TEXTS):
        raise GoalError(f"goal: nothing is called {leaf.column!r}; there are {', '.join((*NUMBERS, *TEXTS))}")
    match leaf:
        case Comparison(_, _, value):
            values: tuple[object, ...] = (value,)
        case In(_, values):
            pass
        case IsNull():
            values = ()
        case _:
            raise GoalError(f"goal: {leaf.column} is no list, and contains nothing")
    wants_text = leaf.column in TEXTS
    for value in values:
        if isinstance(value, str) != wants_text or isinstance(value, bool):
            raise GoalError(f"goal: {leaf.column} is a {'text' if wants_text else 'number'}, which {value!r} is not")
        if wants_text and isinstance(leaf, Comparison) and leaf.operator not in ("=", "!="):
            raise GoalError(f"goal: {leaf.column} is a text; compare it with = or !=")


def _truth(expression: Expression, known: Known) -> bool | None:
    match expression:
        case And(terms):
            truths = [_truth(term, known) for term in terms]
            return False if False in truths else None if None in truths else True
        case Or(terms):
            truths = [_truth(term, known) for term in terms]
            return True if True in truths else None if None in truths else False
        case Not(term):
            truth = _truth(term, known)
            return None if truth is None else not truth
        case IsNull(column):
            return False if column in known else None
        case In(column, values):
            return _truth(Or(tuple(Comparison(column, "=", value) for value in values)), known)
        case Comparison(column) if column in known:
            return _compare(expression, known[column])
        case _:
            return None


def _compare(leaf: Comparison, known: Interval | str) -> bool | None:
    if isinstance(known, str):
        return (known == leaf.value) == (leaf.operator == "=")
    low, high, value = *known, float(leaf.value)
    match leaf.operator:
        case "<":
            return True if high < value else False if low >= value else None
        case "<=":
            return True if high <= value else False if low > value else None
        case ">":
            return True if low > value else False if high <= value else None
        case ">=":
            return True if low >= value else False if high < value else None
        case "=":
            return low == high == value or (None if low <= value <= high and low != high else False)
        case "!=":
            equal = _compare(Comparison(leaf.column, "=", leaf.value), known)
            return None if equal is None else not equal


def _leaves(expression: Expression) -> list[Leaf]:
    match expression:
        case And(terms) | Or(terms):
            return [leaf for term in terms for leaf in _leaves(term)]
        case Not(term):
            return _leaves(term)
        case _:
            return [expression]


def _columns(expression: Expression) -> list[str]:
    return [leaf.column for leaf in _leaves(expression)]


def _shown(value: Interval | str) -> str:
    if isinstance(value, str):
        return value
    low, high = value
    return f"{low:.4g}" if low == high else f"{low:.3g} to {high:.3g}"
