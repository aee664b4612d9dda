"""Conditions on attributes in MongoDB's notation, as GrowthBook evaluates them."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .script_values import Value, as_list, as_object, less, less_or_same, number, same, text, type_of
from .version_order import padded_version

Groups = Mapping[str, Sequence[Value]]
"""Lists of values by name."""
Condition = Mapping[str, Value]


def satisfies(attributes: Mapping[str, Value], condition: Condition, groups: Groups) -> bool:
    """Whether attributes satisfy a condition. What is not known in it is false, never an error."""
    return all(_holds(attributes, key, value, groups) for key, value in condition.items())


def _holds(attributes: Mapping[str, Value], key: str, value: Value, groups: Groups) -> bool:
    match key:
        case "$or":
            return _any_holds(attributes, value, groups)
        case "$nor":
            return not _any_holds(attributes, value, groups)
        case "$and":
            return all(_is_satisfied(attributes, each, groups) for each in as_list(value) or ())
        case "$not":
            return not _is_satisfied(attributes, value, groups)
        case _:
            return _matches(_at(attributes, key), value, groups)


def _any_holds(attributes: Mapping[str, Value], conditions: Value, groups: Groups) -> bool:
    """True for an empty list."""
    listed = as_list(conditions) or ()
    return not listed or any(_is_satisfied(attributes, each, groups) for each in listed)


def _is_satisfied(attributes: Mapping[str, Value], condition: Value, groups: Groups) -> bool:
    known = as_object(condition)
    return known is not None and satisfies(attributes, known, groups)


def _at(attributes: Mapping[str, Value], path: str) -> Value:
    value: Value = attributes
    for part in path.split("."):
        value = (as_object(value) or {}).get(part)
    return value


def _matches(value: Value, condition: Value, groups: Groups) -> bool:
    if isinstance(condition, bool):
        return value is not None and _truthy(value) == condition
    if isinstance(condition, str):
        return text(value) == condition
    if isinstance(condition, int | float):
        return number(value) == condition and value is not None
    if operators := _operators(condition):
        return all(_operates(operator, value, expected, groups) for operator, expected in operators.items())
    return value == condition and type_of(value) == type_of(condition)


def _operators(condition: Value) -> Mapping[str, Value]:
    """Those of an object that has nothing else."""
    found = as_object(condition) or {}
    return found if all(each.startswith("$") for each in found) else {}


def _operates(operator: str, value: Value, expected: Value, groups: Groups) -> bool:
    if simple := _SIMPLE.get(operator):
        return simple(value, expected)
    values = as_list(value)
    match operator:
        case "$inGroup":
            return _among(value, groups.get(text(expected), ()))
        case "$notInGroup":
            return not _among(value, groups.get(text(expected), ()))
        case "$not":
            return not _matches(value, expected, groups)
        case "$size":
            return values is not None and _matches(len(values), expected, groups)
        case "$elemMatch":
            return any(_element_matches(each, expected, groups) for each in values or ())
        case "$all" | "$alli":
            wanted = as_list(expected)
            return values is not None and wanted is not None and _has_all(operator, values, wanted, groups)
        case _:
            return False


def _element_matches(value: Value, condition: Value, groups: Groups) -> bool:
    if _operators(condition):
        return _matches(value, condition, groups)
    element = as_object(value)
    return element is not None and _is_satisfied(element, condition, groups)


def _has_all(operator: str, value: Sequence[Value], expected: Sequence[Value], groups: Groups) -> bool:
    fold = _folded if operator == "$alli" else _unchanged
    return all(any(_matches(fold(each), fold(wanted), groups) for each in value) for wanted in expected)


def _unchanged(value: Value) -> Value:
    return value


def _among(value: Value, expected: Sequence[Value], fold: Callable[[Value], Value] = _unchanged) -> bool:
    listed = as_list(value)
    values = [value] if listed is None else listed
    if fold is _unchanged:
        values = [each for each in values if each in expected]  # at once, but also finds 1 in [True]
    return any(same(fold(each), fold(wanted)) for each in values for wanted in expected)


def _folded(value: Value) -> Value:
    return value.lower() if isinstance(value, str) else value


def _in(fold: Callable[[Value], Value], negated: bool) -> Callable[[Value, Value], bool]:
    """What is no list of values is satisfied neither way."""

    def holds(value: Value, expected: Value) -> bool:
        wanted = as_list(expected)
        return wanted is not None and _among(value, wanted, fold) != negated

    return holds


def _found(value: Value, pattern: Value, flags: re.RegexFlag = re.NOFLAG) -> bool | None:
    """None for a pattern that cannot be read."""
    try:
        return re.search(str(pattern), text(value), flags) is not None
    except re.error:
        return None


def _by_version(compare: Callable[[str, str], bool]) -> Callable[[Value, Value], bool]:
    return lambda value, expected: compare(padded_version(value), padded_version(expected))


def _truthy(value: Value) -> bool:
    return isinstance(value, list | dict) or bool(value)


_SIMPLE: Mapping[str, Callable[[Any, Any], bool]] = {
    "$eq": same,
    "$ne": lambda value, expected: not same(value, expected),
    "$lt": less,
    "$lte": less_or_same,
    "$gt": lambda value, expected: less(expected, value),
    "$gte": lambda value, expected: less_or_same(expected, value),
    "$exists": lambda value, expected: (value is not None) == bool(expected),
    "$in": _in(_unchanged, negated=False),
    "$nin": _in(_unchanged, negated=True),
    "$ini": _in(_folded, negated=False),
    "$nini": _in(_folded, negated=True),
    "$regex": lambda value, expected: _found(value, expected) is True,
    "$regexi": lambda value, expected: _found(value, expected, re.IGNORECASE) is True,
    "$notRegex": lambda value, expected: _found(value, expected) is False,
    "$notRegexi": lambda value, expected: _found(value, expected, re.IGNORECASE) is False,
    "$type": lambda value, expected: type_of(value) == expected,
    "$veq": _by_version(lambda one, other: one == other),
    "$vne": _by_version(lambda one, other: one != other),
    "$vlt": _by_version(lambda one, other: one < other),
    "$vlte": _by_version(lambda one, other: one <= other),
    "$vgt": _by_version(lambda one, other: one > other),
    "$vgte": _by_version(lambda one, other: one >= other),
}
