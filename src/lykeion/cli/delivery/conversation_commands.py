"""``lykeion delivery devices``: commands to a device, and broadcasts to groups, over a gateway."""

import json
import secrets
import time
from pathlib import Path
from typing import Any

import click

from lykeion.cli.options import json_option
from lykeion.cli.output import print_json, print_result, print_table
from lykeion.delivery import device_service, device_sessions, rollouts

from .delivery_options import fleet_option
from .fleet_commands import open_store


class _JsonType(click.ParamType):
    """JSON, or else text."""

    name = "json"

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        try:
            return json.loads(value)
        except ValueError:
            return value


@click.command()
@click.argument("device")
@click.argument("name")
@click.argument("body", type=_JsonType(), default="null")
@click.option("--key", default="", help="Its own; the same key is sent once.  [default: a new one]")
@click.option("--for", "valid_for", default="1d", show_default=True, help="How long it is wanted; units s m h d w.")
@click.option("--by", default="operator", show_default=True, help="Who, for the audit log.")
@fleet_option
@json_option
def send(device: str, name: str, body: Any, key: str, valid_for: str, by: str, fleet: Path, as_json: bool) -> None:
    """Send a device the command NAME with a BODY, JSON or text. It waits until the device is connected."""
    key, now = key or secrets.token_hex(8), time.time()
    expires = now + rollouts.parse_seconds(valid_for)
    with open_store(fleet) as store:
        device_service.one_device(store, device)
        with store.transaction() as change:
            new = device_sessions.add_command(change, device, key, name, body, expires, now, by)
    print_result(as_json, {"key": key, "new": new}, key if new else f"{key} was sent before")


@click.command()
@click.argument("device")
@fleet_option
@json_option
def sent(device: str, fleet: Path, as_json: bool) -> None:
    """The commands of a device, and what came of each."""
    with open_store(fleet) as store:
        device_service.one_device(store, device)
        found = device_sessions.commands_of(store, device)
    if as_json:
        print_json([{"key": each.key, "name": each.name, "state": each.state, "said": each.said} for each in found])
        return
    rows = [(each.key, each.name, each.state, json.dumps(each.said)[:60]) for each in found]
    print_table(("key", "command", "state", "said"), rows)


@click.command()
@click.argument("group")
@click.argument("body", type=_JsonType())
@click.option("--by", default="operator", show_default=True, help="Who, for the audit log.")
@fleet_option
@json_option
def broadcast(group: str, body: Any, by: str, fleet: Path, as_json: bool) -> None:
    """Tell all devices of a GROUP something, JSON or text; every device is in the group all."""
    with open_store(fleet) as store, store.transaction() as change:
        number = device_sessions.add_broadcast(change, group, body, time.time(), by)
    print_result(as_json, {"group": group, "number": number}, f"{number} of {group}")
