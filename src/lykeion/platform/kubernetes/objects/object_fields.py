"""Reading documents of the API server: what is not there, or is null, is empty."""

from collections.abc import Mapping
from typing import Any, cast

Fields = Mapping[str, Any]
NOTHING: Fields = {}


def part(document: Fields, *path: str) -> Fields:
    """The mapping at a path."""
    found: object = document
    for name in path:
        found = cast(Fields, found).get(name) if isinstance(found, dict) else None
    return cast(Fields, found) if isinstance(found, dict) else NOTHING


def parts(document: Fields, *path: str) -> list[Fields]:
    """The mappings in the list at a path."""
    found: object = part(document, *path[:-1]).get(path[-1])
    each_of = cast(list[object], found) if isinstance(found, list) else []
    return [cast(Fields, each) for each in each_of if isinstance(each, dict)]


def text(document: Fields, *path: str) -> str:
    """The value at a path as text."""
    found = part(document, *path[:-1]).get(path[-1])
    return "" if found is None else str(found)


def annotation(document: Fields, name: str) -> str:
    return text(document, "metadata", "annotations", name)


def true_condition(document: Fields, type_: str) -> Fields:
    """The condition in a status, if it is true."""
    found = (each for each in parts(document, "status", "conditions") if each.get("type") == type_)
    return next((each for each in found if each.get("status") == "True"), NOTHING)
