"""Requirements on a model on a device: ``latency_ms <= 5 and top1 >= 0.90, minimise size_bytes``.

Before the comma there is an optional condition in the language of ``core.grammar``; after it, the objective that
decides among those that meet the condition. While measuring continues, a number is known as an interval, and a
condition may be neither true nor false yet.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

from lykeion.core import Invalid
from lykeion.core.expression import (
    And,
    Comparison,
    Constant,
    Expression,
    In,
    IsNull,
    Leaf,
    Not,
    Or,
    WhereError,
    leaves,
    truth,
)

Interval: TypeAlias = tuple[float, float]
"""The lowest and the highest possible value of a number; equal if the number is known exactly."""
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

_TIMES = {"ns": 1e-6, "us": 1e-3, "µs": 1e-3, "ms": 1, "s": 1e3}
_SIZES = {"B": 1, "kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
UNITS: Mapping[str, Mapping[str, float]] = {
    **{name: _TIMES for name in NUMBERS if name.endswith("_ms")},
    **{name: _SIZES for name in NUMBERS if name.endswith("_bytes")},
    "energy_uj": {"uJ": 1, "µJ": 1, "mJ": 1e3, "J": 1e6},
    "multiply_adds": {"k": 1e3, "M": 1e6, "G": 1e9},
    "top1": {"%": 0.01},
}
"""The units allowed after a number, by the name that it is compared with, and their factors."""

_NUMBER = r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?"
_UNIT = "|".join(sorted({unit for units in UNITS.values() for unit in units}, key=len, reverse=True))
_QUANTITY = re.compile(rf"(?P<number>{_NUMBER})\s*(?P<unit>{_UNIT})")
_TEXT_OR_QUANTITY = re.compile(
    rf"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|`(?:[^`\\]|\\.)*`|(?<![\w.])(?P<quantity>{_QUANTITY.pattern})(?!\w)"
)

_ORDER = re.compile(r"^(?:(?P<where>.*),)?\s*(?P<verb>minimi[sz]e|maximi[sz]e)\s+(?P<name>\w+)\s*$", re.DOTALL)


class GoalError(Invalid):
    """A goal that cannot be parsed, or uses a name that is not measured."""


@dataclass(frozen=True, slots=True)
class Goal:
    """``where`` is None if every model is good enough."""

    text: str
    where: Expression | None
    objective: str
    maximise: bool

    @property
    def names(self) -> frozenset[str]:
        """All names that have to be measured."""
        return frozenset({self.objective, *(leaf.column for leaf in self.conditions)})

    @property
    def conditions(self) -> tuple[Leaf, ...]:
        """The comparisons in the condition."""
        return tuple(leaves(self.where)) if self.where else ()

    def truth(self, known: Known) -> bool | None:
        """Whether the condition is met; None if too little is known."""
        return True if self.where is None else truth(self.where, lambda leaf: _truth(leaf, known))

    def cost(self, known: Known) -> Interval:
        """The value to be minimised; from −∞ to ∞ if it is not known."""
        value = known.get(self.objective, (float("-inf"), float("inf")))
        low, high = value if isinstance(value, tuple) else (float("-inf"), float("inf"))
        return (-high, -low) if self.maximise else (low, high)

    def failing(self, known: Known) -> str:
        """The values that make the condition false: "latency_ms is 7.2"."""
        return ", ".join(
            f"{leaf.column} is {_shown(known[leaf.column])}"
            for leaf in self.conditions
            if leaf.column in known and _truth(leaf, known) is False
        )


def parse_goal(text: str) -> Goal:
    """Numbers may have units. Raises GoalError."""
    match = _ORDER.match(text)
    if match is None:
        raise GoalError(
            f"goal {text[:80]!r}: end it with what decides, such as 'latency_ms <= 5, minimise size_bytes'"
        )
    where = _condition(match["where"]) if (match["where"] or "").strip() else None
    goal = Goal(text, where, match["name"], match["verb"].startswith("max"))
    if goal.objective not in NUMBERS:
        raise GoalError(f"goal: {goal.objective!r} cannot be made small or large; there are {', '.join(NUMBERS)}")
    for leaf in goal.conditions:
        _check(leaf)
    return goal


def exact(value: float | str) -> Interval | str:
    """A measured value as in ``Known``."""
    return value if isinstance(value, str) else (float(value), float(value))


def _condition(text: str) -> Expression:
    from lykeion.core.grammar import parse

    # The filter language has no units: a number with a unit is a string there.
    quoted: list[int] = []

    def quote(match: re.Match[str]) -> str:
        if not match["quantity"]:
            return match[0]
        quoted.append(match.start() + 2 * len(quoted))
        return f"'{match[0]}'"

    try:
        return _in_units(parse(_TEXT_OR_QUANTITY.sub(quote, text)))
    except WhereError as error:
        raise GoalError(_of_goal(str(error), quoted)) from None


def _of_goal(message: str, quoted: list[int]) -> str:
    """A filter's error message as one about the goal: its position does not count the added quotes."""

    def placed(match: re.Match[str]) -> str:
        place = int(match[1])
        before = sum(2 if place > start + 2 else 1 for start in quoted if place > start + 1)
        return f"goal, character {place - before}"

    return re.sub(r"^filter\b", "goal", re.sub(r"^filter, character (\d+)", placed, message))


def _in_units(node: Expression) -> Expression:
    """Quantities converted to numbers in the unit of what they are compared with. Raises GoalError."""
    match node:
        case And(terms):
            return And(tuple(map(_in_units, terms)))
        case Or(terms):
            return Or(tuple(map(_in_units, terms)))
        case Not(term):
            return Not(_in_units(term))
        case Comparison(column, _, value):
            return replace(node, value=_plain_number(column, value))
        case In(column, values):
            return replace(node, values=tuple(_plain_number(column, value) for value in values))
        case _:
            return node


def _plain_number(column: str, value: Constant) -> Constant:
    match = _QUANTITY.fullmatch(value) if isinstance(value, str) and column in NUMBERS else None
    if match is None:
        return value
    units = UNITS.get(column, {})
    if match["unit"] not in units:
        known = f"give a number in {', '.join(units)}" if units else "give a number without a unit"
        raise GoalError(f"goal: {column} is not in {match['unit']}, as {value!r} is; {known}")
    return float(match["number"]) * units[match["unit"]]


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


def _truth(leaf: Leaf, known: Known) -> bool | None:
    match leaf:
        case IsNull(column):
            return False if column in known else None
        case In(column, values):
            equal = Or(tuple(Comparison(column, "=", value) for value in values))
            return truth(equal, lambda one: _truth(one, known))
        case Comparison(column) if column in known:
            return _compare(leaf, known[column])
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


def _shown(value: Interval | str) -> str:
    if isinstance(value, str):
        return value
    low, high = value
    return f"{low:.4g}" if low == high else f"{low:.3g} to {high:.3g}"
