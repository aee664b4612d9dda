"""``lykeion delivery logs``: the log of a device, asked for on demand."""

import sys
import time
from pathlib import Path

import click

from lykeion.cli.options import json_option
from lykeion.cli.output import print_json
from lykeion.core import DONE_BUT, print_line
from lykeion.delivery import device_service, rollouts

from .delivery_options import fleet_option
from .fleet_commands import open_store

LOOK_AGAIN_S = 1.0


@click.command()
@click.argument("device")
@click.option("--lines", type=click.IntRange(1, 1_000), default=200, show_default=True, help="The last so many.")
@click.option("--wait", "wait_for", default="", metavar="TIME", help="Wait so long for the answer; units s m h d w.")
@click.option("--last", is_flag=True, help="Print the last answer, and ask for none.")
@click.option("--by", default="operator", show_default=True, help="Who, for the audit log.")
@fleet_option
@json_option
def logs(device: str, lines: int, wait_for: str, last: bool, by: str, fleet: Path, as_json: bool) -> None:
    """Ask a device for its log; it answers when it asks next what to run. Exit code 3 if it has not yet.

    \b
      lykeion delivery logs d-0123456789abcdef --wait 20m
      lykeion delivery logs d-0123456789abcdef --last

    A device's log has no vectors, photos, addresses, paths or long numbers.
    """
    wait_s = rollouts.parse_seconds(wait_for) if wait_for else 0
    with open_store(fleet) as store:
        if not last:
            device_service.ask_log(store, device, lines, by, time.time())
        else:
            device_service.one_device(store, device)
        found, until = device_service.device_log(store, device), time.monotonic() + wait_s
        while found and found.answered < found.asked and time.monotonic() < until:
            time.sleep(LOOK_AGAIN_S)
            found = device_service.device_log(store, device)
    answered = found is not None and (last or found.answered == found.asked)
    shown = found.lines if found and answered else ()
    if as_json:
        print_json({"device": device, "answered": answered, "lines": list(shown)})
    for line in () if as_json else shown:
        print_line(line)
    if not shown and not as_json:
        print_line(f"{device} has not answered yet; see later: lykeion delivery logs {device} --last", err=True)
    if not answered:
        sys.exit(DONE_BUT)
