"""What a process is started with, made from its program: ``$(NAME)`` is replaced as in Kubernetes."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from lykeion.platform.resources.programs import Program, Requests

VARIABLES = "\0variables"
"""In ``argv``, which otherwise never contains NUL: the number of the descriptor with the variables of the image."""
_REFERENCE = re.compile(r"\$\$|\$\(([A-Za-z_][A-Za-z0-9_]*)\)")


@dataclass(frozen=True)
class Launch:
    """``in_image`` are the variables of a program in an image; ``environment`` is then that of what starts it.

    ``shard`` is what the file says by which the program knows its shard, if it has one.
    """

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    working_directory: str
    needs: Requests = field(default_factory=Requests)
    in_image: Mapping[str, str] | None = None
    shard: str | None = None


@dataclass(frozen=True)
class Mounted:
    """A path of this machine that a program in an image sees as well."""

    path: str
    read_only: bool = False

    @property
    def option(self) -> str:
        return f"--volume={self.path}:{self.path}:{'ro,U' if self.read_only else 'U'}"


def launch(
    program: Program,
    given: Mapping[str, str],
    environment: Mapping[str, str],
    working_directory: str,
    mounted: Iterable[Mounted] = (),
) -> Launch:
    """``given`` are the platform's variables for the program, ``environment`` its own.

    An image sees those of the program and ``given``, and what is ``mounted``.
    """
    variables = dict(given) if program.image else {**environment, **given}
    for each in program.env:
        variables[each.name] = expand(each.value, variables)
    command, args = ([expand(each, variables) for each in words] for words in (program.command, program.args))
    if not program.image:
        place = program.working_dir or working_directory
        return Launch((*command, *args), variables, place, program.resources)
    options = [*_options(program, command), *(each.option for each in mounted)]
    argv = ("lykeion", "images", "run", "--quiet", *options, program.image, *command[1:], *args)
    return Launch(argv, environment, working_directory, program.resources, variables)


def _options(program: Program, command: list[str]) -> Iterator[str]:
    """As in Kubernetes, a command replaces the image's entrypoint and command."""
    yield from ("--env-fd", VARIABLES)
    if command:
        yield f"--entrypoint={command[0]}"
    if program.working_dir:
        yield f"--workdir={program.working_dir}"


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Replace references to variables; those to unknown ones stay, and ``$$(NAME)`` becomes ``$(NAME)``.

    https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/
    """

    def value_of(found: re.Match[str]) -> str:
        return "$" if found[1] is None else variables.get(found[1], found[0])

    return _REFERENCE.sub(value_of, text)
