"""``lykeion experiment``: events of units from files, and units that are forgotten."""

import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from lykeion.cli.delivery.fleet_commands import fleet_option, open_store
from lykeion.cli.options import json_option
from lykeion.cli.output import print_result
from lykeion.core import print_line
from lykeion.delivery import device_service
from lykeion.delivery.experiments import events

from .experiment_commands import log_of


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, allow_dash=True), metavar="FILE...")
@fleet_option
@json_option
def collect(files: Sequence[Path], fleet: Path, as_json: bool) -> None:
    """Take events of units from files with one JSON object a line; - is standard input.

    Taking a file again changes no result. A line that is no event is an error, and nothing of its file is taken.
    """
    log, taken = log_of(fleet), 0
    for path in files:
        taken += log.append(list(_events(path))).events
    print_result(as_json, {"events": taken}, f"{taken:,} events were taken")


def _events(path: Path) -> "Iterator[events.UnitEvent]":
    if str(path) == "-":
        yield from events.read_lines(sys.stdin.buffer, time.time())
        return
    try:
        with path.open("rb") as file:
            yield from events.read_lines(file, time.time())
    except OSError as refused:
        raise events.EventLineError(f"{path}: cannot be read: {refused.strerror}") from None
    except events.EventLineError as wrong:
        raise events.EventLineError(f"{path}: {wrong}") from None


@click.command()
@click.argument("unit")
@fleet_option
def delete(unit: str, fleet: Path) -> None:
    """Delete the events of a unit, also those of a device that the server has just received.

    Files that hold them are rewritten without them. Results that counted the unit change.
    """
    with open_store(fleet) as store:
        deleted = device_service.forget_unit(store, log_of(fleet), unit)
    print_line(f"{deleted:,} events of {unit} are deleted")
