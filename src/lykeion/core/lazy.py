"""Faces of rooms that load lazily: a name is imported from its module when it is first used."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy(face: str, names: Mapping[str, str]) -> Callable[[str], Any]:
    """The ``__getattr__`` of the package ``face``.

    ``names``: by module inside it, the names taken from there, separated by spaces. No name may be that of a module
    in the package too, which would be found first.
    """
    modules = {name: module for module, given in names.items() for name in given.split()}

    def load(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {face!r} has no attribute {name!r}")
        return getattr(import_module(f"{face}.{modules[name]}"), name)

    return load
