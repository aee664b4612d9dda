"""Packages whose ``__init__`` loads lazily: a name is imported from its module when it is first used."""

import dis
import sys
from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any


def lazy(face: str) -> Callable[[str], Any]:
    """The ``__getattr__`` of the package ``face``, whose ``if TYPE_CHECKING:`` says which module has which name.

    No name may also be the name of a module in the package, which would be found first.
    """

    def load(name: str) -> Any:
        if name not in (modules := _modules(face)):
            raise AttributeError(f"module {face!r} has no attribute {name!r}")
        return getattr(import_module(f"{face}.{modules[name]}"), name)

    return load


@cache
def _modules(face: str) -> dict[str, str]:
    """By name, the module inside ``face`` that has it: the imports in its compiled code, whether they ran or not."""
    loader: Any = sys.modules[face].__loader__
    modules, module = dict[str, str](), ""
    for step in dis.get_instructions(loader.get_code(face)):
        if step.opname == "IMPORT_NAME":
            module = step.argval
        elif step.opname == "IMPORT_FROM":
            modules[step.argval] = module
    return modules
