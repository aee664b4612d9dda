"""Faces of rooms that load lazily: a name is imported from its module when it is first used."""

import ast
import sys
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any


def lazy(face: str) -> Callable[[str], Any]:
    """The ``__getattr__`` of the package ``face``, whose ``if TYPE_CHECKING:`` says which module has which name.

    No name may be that of a module in the package too, which would be found first.
    """

    def load(name: str) -> Any:
        if name not in (modules := _modules(face)):
            raise AttributeError(f"module {face!r} has no attribute {name!r}")
        return getattr(import_module(f"{face}.{modules[name]}"), name)

    return load


@cache
def _modules(face: str) -> dict[str, str]:
    """By name, the module inside ``face`` that has it."""
    tree = ast.parse(Path(str(sys.modules[face].__file__)).read_text(encoding="utf-8"))
    blocks = (node.body for node in tree.body if isinstance(node, ast.If))
    imports = (node for block in blocks for node in block if isinstance(node, ast.ImportFrom))
    return {alias.name: str(node.module) for node in imports for alias in node.names}
