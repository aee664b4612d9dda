"""Options and the platform connection that the commands for resources share."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import click
from click.core import ParameterSource

from lykeion import platform
from lykeion.core import Unsupported

from .composed_kinds import KINDS

T = TypeVar("T")


def chosen_context() -> str:
    """The context of the kubeconfig that is the place, given before the command; empty for this machine."""
    return str(click.get_current_context().find_root().params.get("context") or "")


def of_this_machine(command: str) -> None:
    """Raises Unsupported for a command that was given a context, and is of this machine alone."""
    root = click.get_current_context().find_root()
    if root.get_parameter_source("context") is ParameterSource.COMMANDLINE:
        raise Unsupported(f"{command} is of this machine; leave out --context")


def _namespace(context: click.Context, option: click.Parameter, value: str | None) -> str:
    return value or platform.default_namespace(chosen_context())


def _context(context: click.Context, option: click.Parameter, value: str | None) -> str:
    return value or str(context.find_root().params.get("context") or "")


namespace_option = click.option(
    "--namespace",
    "-n",
    envvar="LYKEION_NAMESPACE",
    callback=_namespace,
    help="Where to look.  [env: LYKEION_NAMESPACE; default: default, or that of the context]",
)
context_option = click.option(
    "--context",
    callback=_context,
    metavar="NAME",
    help="Of the kubeconfig.  [default: as for all commands, or the current one]",
)
files_option = click.option(
    "--filename",
    "-f",
    "files",
    type=click.Path(path_type=Path, allow_dash=True),
    multiple=True,
    required=True,
    metavar="FILE",
    help="A YAML or JSON file, or - for standard input; may be repeated.",
)
target_argument = click.argument("target", metavar="KIND/NAME")


def files_of(files: tuple[Path, ...]) -> list[Path]:
    return [Path("/dev/stdin") if str(file) == "-" else file for file in files]


def is_unicode(text: str) -> bool:
    """Whether an argument of the command line was UTF-8; Python keeps other bytes as lone surrogates."""
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def pair_of(text: str) -> tuple[str, str]:
    """The name and value of a parameter."""
    name, equals, value = text.partition("=")
    if not equals:
        raise click.UsageError(f"--parameter {text[:60]!r}: write NAME=VALUE")
    if not is_unicode(text):
        raise click.UsageError(f"--parameter {text[:60]!r}: the value is not UTF-8")
    return name, value


def with_platform(work: Callable[["platform.PlatformStore"], Awaitable[T]]) -> T:
    """Run ``work`` with the resources of the platform on this machine, or of the cluster that was chosen."""
    given = click.get_current_context().params
    namespace = None if given.get("all_namespaces") else given.get("namespace")

    async def connected() -> T:
        async with platform.connect_to(chosen_context(), namespace, KINDS) as store:
            return await work(store)

    return asyncio.run(connected())
