"""Where commands reach the rollouts and experiments of a fleet: by its server on this machine, or in a cluster."""

import asyncio
import shlex
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from lykeion import platform
from lykeion.cli.platform.platform_options import chosen_context, namespace_option
from lykeion.control import ResourceStore
from lykeion.delivery import device_service

from .delivery_options import fleet_option

T = TypeVar("T")


def place_options(command: Any) -> Any:
    """``fleet`` and ``namespace``."""
    return namespace_option(fleet_option(command))


def in_cluster() -> bool:
    """Whether a context of the kubeconfig is the place; a fleet that is typed is on this machine."""
    return bool(chosen_context()) and not _is_typed(click.get_current_context(), "fleet")


def with_fleet_resources(fleet: Path, namespace: str, work: Callable[[ResourceStore], Awaitable[T]]) -> T:
    async def run() -> T:
        place = (
            platform.connect_to(chosen_context(), namespace, device_service.FLEET_KINDS)
            if in_cluster()
            else device_service.connect_rollouts(fleet)
        )
        async with place as store:
            return await work(store)

    return asyncio.run(run())


def command_here(words: str) -> str:
    """A further command as a person has to type it to reach the same place as the present one."""
    here = click.get_current_context()
    root = here.find_root()
    context = f" --context {shlex.quote(chosen_context())}" if _is_typed(root, "context") else ""
    more = [
        f" --{name} {shlex.quote(str(here.params[name]))}" for name in ("fleet", "namespace") if _is_typed(here, name)
    ]
    return f"lykeion{context} {words}{''.join(more)}"


def _is_typed(context: click.Context, name: str) -> bool:
    return context.get_parameter_source(name) is ParameterSource.COMMANDLINE
