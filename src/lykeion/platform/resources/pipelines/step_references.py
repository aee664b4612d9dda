"""References in the fields of steps: ``$(parameters.day)``, ``$(steps.embed.outputs.index)``, ``$(run.name)``.

References to variables, without a dot, are left to the place where the program runs; so is ``$$``.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar, cast

import msgspec

from lykeion.control import read_as
from lykeion.core.fields import Field

Structure = TypeVar("Structure", bound=msgspec.Struct)

_REFERENCE = re.compile(r"\$\$|\$\(((?:parameters|steps|run)\.[A-Za-z0-9_.-]{1,200})\)")
_EXPANDED = frozenset({"command", "args", "value"})
"""Fields in which the place where a program runs replaces references to variables."""


def references(value: Any) -> frozenset[str]:
    """The references in all text of a structure, such as ``parameters.day``."""
    texts = _texts(msgspec.to_builtins(value))
    return frozenset(found[1] for text in texts for found in _REFERENCE.finditer(text) if found[1])


def resolved(structure: Structure, values: Mapping[str, str]) -> Structure:
    """The structure with its references replaced. Raises KeyError for one without a value; SpecError."""
    found = _replaced(msgspec.to_builtins(structure), values, "")
    return read_as(type(structure), Field("the step", found))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in cast(dict[str, Any], value).values():
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in cast(list[Any], value):
            yield from _texts(inner)


def _replaced(value: Any, values: Mapping[str, str], field: str) -> Any:
    if isinstance(value, str):
        return _REFERENCE.sub(_value_of(values, field in _EXPANDED), value)
    if isinstance(value, dict):
        return {name: _replaced(inner, values, name) for name, inner in cast(dict[str, Any], value).items()}
    if isinstance(value, list | tuple):
        return [_replaced(inner, values, field) for inner in cast(list[Any], value)]
    return value


def _value_of(values: Mapping[str, str], is_expanded: bool) -> Callable[[re.Match[str]], str]:
    """What replaces a match; a value is text, so that its own ``$`` is no reference."""

    def value_of(found: re.Match[str]) -> str:
        if found[1] is None:
            return found[0]
        value = values[found[1]]
        return value.replace("$", "$$") if is_expanded else value

    return value_of
