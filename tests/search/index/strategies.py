"""Hypothesis strategies for attributes, and for filters over them with a naive reading of each."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, TypeAlias

from hypothesis import strategies as st

Truth: TypeAlias = bool | None
"""SQL's three values; None is unknown."""

words = st.sampled_from(["", "red", "blue", "Größe 42", 'it\'s "x"', "a\\b\n", "0", "日本", "🙂"])
integers = st.integers(-3, 3) | st.integers(-(2**63), 2**63 - 1) | st.sampled_from([2**53, 2**53 + 1])
numbers = st.sampled_from([-1.5, 0.0, 1.0, 2.5, 1e300]) | st.floats(allow_nan=False, allow_infinity=False)
moments = st.datetimes(
    min_value=datetime(1900, 1, 1), max_value=datetime(2100, 1, 1), timezones=st.just(UTC)
) | st.integers(-2, 2).map(lambda hours: datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=hours))))

COLUMNS: dict[str, st.SearchStrategy[Any]] = {
    "name": words,
    "stock": integers,
    "price": numbers,
    "sold": st.booleans(),
    "since": moments,
    "tags": st.lists(words, max_size=3),
    "sizes": st.lists(numbers, max_size=3),
}
TYPES = {
    "name": "string",
    "stock": "integer",
    "price": "number",
    "sold": "boolean",
    "since": "timestamp",
    "tags": "strings",
    "sizes": "numbers",
}

rows = st.fixed_dictionaries({}, optional={name: st.none() | value for name, value in COLUMNS.items()})


@dataclass(frozen=True)
class Filter:
    """A filter's text, and what it says of one row by SQL's rules."""

    text: str
    truth: Callable[[Mapping[str, Any]], Truth]


def filters(depth: int = 3) -> st.SearchStrategy[Filter]:
    return st.recursive(_leaves(), _combined, max_leaves=2**depth)


def _combined(inner: st.SearchStrategy[Filter]) -> st.SearchStrategy[Filter]:
    several = st.lists(inner, min_size=2, max_size=3)
    return st.one_of(several.map(_and), several.map(_or), inner.map(_not))


def _and(terms: list[Filter]) -> Filter:
    def truth(row: Mapping[str, Any]) -> Truth:
        found = {term.truth(row) for term in terms}
        return False if False in found else None if None in found else True

    return Filter("(" + " and ".join(term.text for term in terms) + ")", truth)


def _or(terms: list[Filter]) -> Filter:
    def truth(row: Mapping[str, Any]) -> Truth:
        found = {term.truth(row) for term in terms}
        return True if True in found else None if None in found else False

    return Filter("(" + " OR ".join(term.text for term in terms) + ")", truth)


def _not(term: Filter) -> Filter:
    def truth(row: Mapping[str, Any]) -> Truth:
        inner = term.truth(row)
        return None if inner is None else not inner

    return Filter(f"not ({term.text})", truth)


_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: a == b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<>": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


@st.composite
def _leaves(draw: st.DrawFn) -> Filter:
    column = draw(st.sampled_from(sorted(COLUMNS)))
    kind = TYPES[column]
    negated = draw(st.sampled_from(["", "not "]))
    if draw(st.integers(0, 4)) == 0:
        return Filter(f"{column} is {negated}null", lambda row: (row.get(column) is None) is not bool(negated))
    if kind in ("strings", "numbers"):
        item = draw(words if kind == "strings" else numbers)
        return _leaf(f"{column} {negated}contains {_write(item)}", column, lambda value: item in value, negated)
    literals = integers | numbers if kind == "integer" else COLUMNS[column]
    form = draw(st.sampled_from(["compare", "in", "between", "bare"]))
    if form == "bare" and kind == "boolean":
        return _leaf(f"{negated}{column}", column, lambda value: value, negated)
    if form == "between" and kind != "boolean":
        low, high = draw(literals), draw(literals)
        text = f"{column} {negated}between {_write(low)} and {_write(high)}"
        return _leaf(text, column, lambda value: low <= value <= high, negated)
    if form == "in":
        values = draw(st.lists(literals, min_size=1, max_size=3))
        text = f"{column} {negated}in ({', '.join(map(_write, values))})"
        return _leaf(text, column, lambda value: value in values, negated)
    operator = draw(st.sampled_from(["=", "!="] if kind == "boolean" else sorted(_COMPARE)))
    literal = draw(literals)
    return _leaf(f"{column} {operator} {_write(literal)}", column, lambda v: _COMPARE[operator](v, literal), "")


def _leaf(text: str, column: str, says: Callable[[Any], bool], negated: str) -> Filter:
    def truth(row: Mapping[str, Any]) -> Truth:
        value = row.get(column)
        return None if value is None else says(value) is not bool(negated)

    return Filter(text, truth)


def _write(value: Any) -> str:
    if isinstance(value, datetime):
        return f"'{value.isoformat()}'"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'"{escaped}"'
    return json.dumps(value)
