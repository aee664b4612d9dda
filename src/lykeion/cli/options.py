"""Options that several commands share."""

import logging
import math
from pathlib import Path
from typing import Any

import click

from lykeion import search
from lykeion.core import CONSOLE, SILENT, Reporter
from lykeion.oci import distribution


class _Picture(click.Path):
    """A picture to write; whether its suffix gives a known format is checked before the work, not after it."""

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        path: Any = super().convert(value, param, ctx)
        if path.suffix.lower() not in (".png", ".svg", ".pdf"):
            self.fail(f"{value}: end its name in .png, .svg or .pdf", param, ctx)
        return path


class FiniteRange(click.FloatRange):
    """A range without inf and nan, which bounds do not always exclude."""

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        number: Any = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is no finite number", param, ctx)
        return number


PICTURE = _Picture(path_type=Path, dir_okay=False)
FIT = click.Choice(("pad", "centre", "letterbox", "stretch"))

INDEX_HELP = "A directory, or milvus://host:port/collection.  [env: LYKEION_INDEX]"
index_option = click.option("--index", "uri", envvar="LYKEION_INDEX", required=True, metavar="INDEX", help=INDEX_HELP)


def _as_place(context: click.Context, option: click.Parameter, file: Path | None) -> Any:
    return search.ThumbnailPlace(file)


thumbnails_option = click.option(
    "--thumbnails",
    type=click.Path(path_type=Path),
    callback=_as_place,
    metavar="FILE",
    help="Where the thumbnails are, if not in a local index.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


def _reporter(context: click.Context, option: click.Parameter, quiet: bool) -> Reporter:
    if quiet:
        logging.getLogger("lykeion").setLevel(logging.ERROR)  # notices about directories are logged there
    return SILENT if quiet else CONSOLE


quiet_option = click.option(
    "--quiet", "-q", "reporter", is_flag=True, callback=_reporter, help="Show no progress and no notices."
)


def refuse_options(why: str, *parameters: str) -> None:
    """Raises UsageError if the command was given any of these options, which would be ignored."""
    context = click.get_current_context()
    given = [
        option.opts[0]
        for option in context.command.params
        if option.name in parameters
        and context.get_parameter_source(option.name or "") is click.core.ParameterSource.COMMANDLINE
    ]
    if given:
        raise click.UsageError(f"{why}; leave out {', '.join(given)}")


skip_bad_option = click.option(
    "--skip-bad", is_flag=True, help="Leave out photos that cannot be used, name them, and end with exit code 3."
)
store_option = click.option(
    "--store",
    envvar="LYKEION_STORE",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where models are kept on this machine, if not in the data directory.  [env: LYKEION_STORE]",
)
trust_option = click.option(
    "--trust",
    envvar="LYKEION_TRUST",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A trust policy: whose signatures are asked for.  [env: LYKEION_TRUST]",
)


def _speak(context: click.Context, option: click.Parameter, plain: bool | None) -> None:
    if plain is not None:
        context.with_resource(distribution.speaking("http" if plain else "https"))


registry_option = click.option(
    "--plain-http/--tls",
    default=None,
    expose_value=False,
    callback=_speak,
    help="How registries are spoken to; default: over TLS, and over plain HTTP on loopback. LYKEION_REGISTRIES tells "
    "them apart: http://HOST:PORT https://HOST.",
)
"""An option of every command that may access a registry."""
