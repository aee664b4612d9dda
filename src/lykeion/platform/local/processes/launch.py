"""What a process is started with, made from its program: ``$(NAME)`` is replaced as in Kubernetes."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from lykeion.platform.resources.program import Program, Requests

_REFERENCE = re.compile(r"\$\$|\$\(([A-Za-z_][A-Za-z0-9_]*)\)")


@dataclass(frozen=True)
class Launch:
    argv: tuple[str, ...]
    environment: Mapping[str, str]
    working_directory: str
    needs: Requests = field(default_factory=Requests)


def launch(program: Program, given: Mapping[str, str], working_directory: str) -> Launch:
    """``given`` are the variables beside the program's own; ``working_directory``, the default."""
    variables = dict(given)
    for each in program.env:
        variables[each.name] = expand(each.value, variables)
    argv = tuple(expand(each, variables) for each in (*program.command, *program.args))
    return Launch(argv, variables, program.working_dir or working_directory, program.resources)


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Replace references to variables; those to unknown ones stay, and ``$$(NAME)`` becomes ``$(NAME)``.

    https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/
    """

    def value_of(found: re.Match[str]) -> str:
        return "$" if found[1] is None else variables.get(found[1], found[0])

    return _REFERENCE.sub(value_of, text)
