"""Options of the commands on flags, and the store that they open."""

import getpass
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from lykeion.delivery import device_service, flags

environment_option = click.option(
    "--environment",
    envvar="LYKEION_ENVIRONMENT",
    default="production",
    show_default=True,
    metavar="NAME",
    help="Whose flags: each environment has its own.  [env: LYKEION_ENVIRONMENT]",
)


def edit_options(command: Any) -> Any:
    """Who changes something, and why: handed on as ``edit``."""

    def made(context: click.Context, option: click.Parameter, because: str) -> "flags.FlagEdit":
        return flags.FlagEdit(context.params.pop("by"), because, time.time())

    why = click.option(
        "--because", "edit", required=True, callback=made, metavar="TEXT", help="Why, for the history."
    )
    who = click.option(
        "--by", default=getpass.getuser, show_default="you", is_eager=True, help="Who, for the history."
    )
    return why(who(command))


@contextmanager
def open_base(fleet: Path) -> Iterator["device_service.FleetStore"]:
    base = device_service.open_fleet(fleet)
    try:
        yield base
    finally:
        base.close()


@contextmanager
def open_flags(fleet: Path, environment: str) -> Iterator["flags.FlagStore"]:
    flags.check_flag_name(environment, "the name of the environment")
    with open_base(fleet) as base:
        yield flags.FlagStore(base, environment)


def time_text(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
