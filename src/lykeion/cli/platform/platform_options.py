"""Options and the platform connection that the commands for resources share."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import click

from lykeion import platform

T = TypeVar("T")

namespace_option = click.option(
    "--namespace",
    "-n",
    envvar="LYKEION_NAMESPACE",
    default="default",
    show_default=True,
    help="Where to look.  [env: LYKEION_NAMESPACE]",
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


def pair_of(text: str) -> tuple[str, str]:
    """The name and value of a parameter."""
    name, equals, value = text.partition("=")
    if not equals:
        raise click.UsageError(f"--parameter {text[:60]!r}: write NAME=VALUE")
    return name, value


def with_platform(work: Callable[["platform.SocketStore"], Awaitable[T]]) -> T:
    """Run ``work`` with the resources of the platform on this machine."""

    async def connected() -> T:
        async with platform.connect() as store:
            return await work(store)

    return asyncio.run(connected())
