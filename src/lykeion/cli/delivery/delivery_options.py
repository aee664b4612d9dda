"""Options and arguments that the commands of ``lykeion delivery`` share."""

from pathlib import Path
from typing import Any

import click

from lykeion import delivery
from lykeion.delivery import device_service
from lykeion.registry import parse

repository_option = click.option(
    "--repository",
    "home",
    envvar="LYKEION_DELIVERY",
    type=click.Path(path_type=Path),
    default=Path("tuf"),
    show_default=True,
    metavar="DIR",
    help="The repository's directory.  [env: LYKEION_DELIVERY]",
)


def fleet_option(command: Any) -> Any:
    return click.option(
        "--fleet",
        type=click.Path(path_type=Path),
        envvar="LYKEION_FLEET",
        default=device_service.fleet_directory,
        show_default="fleet in the data directory",
        metavar="DIR",
        help="Where devices and rollouts are kept.  [env: LYKEION_FLEET]",
    )(command)


searched_option = click.option(
    "--searched",
    multiple=True,
    metavar="INDEX",
    help="An index that devices search, or its service's URL: a rollout to another embedding space waits for one.",
)


class _KeyType(click.ParamType):
    """A key, read when the command line is."""

    name = "key"

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        return delivery.read_key(value)


class _VersionType(click.ParamType):
    """``v7`` as 7."""

    name = "version"

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        digits = value.removeprefix("v") if isinstance(value, str) else ""
        if not digits.isdecimal() or not 1 <= int(digits) <= 999_999_999:
            self.fail(f"{value!r} is not a version such as v7", param, ctx)
        return int(digits)


KEY = _KeyType()
VERSION = _VersionType()


def model_name(text: str) -> str:
    """The name under which a model of the registry is delivered."""
    return parse(text).name
