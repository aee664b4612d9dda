"""Packages whose ``__init__`` loads lazily: a name is imported from its module when it is first used."""

import sys
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from opcode import opmap
from types import CodeType
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
    for step, name in _imports(loader.get_code(face)):
        if step == opmap["IMPORT_NAME"]:
            module = name
        else:
            modules[name] = module
    return modules


def _imports(code: CodeType) -> Iterator[tuple[int, str]]:
    """Each step that imports, with the name that it is about, in order; ``dis`` takes ten times as long."""
    high, steps = 0, code.co_code
    for at in range(0, len(steps), 2):
        step, low = steps[at], steps[at + 1]
        if step in (opmap["IMPORT_NAME"], opmap["IMPORT_FROM"]):
            yield step, code.co_names[high | low]
        high = (high | low) << 8 if step == opmap["EXTENDED_ARG"] else 0
