"""``lykeion flags``: what flags share, which is attributes and groups of units, and keys of clients."""

import json
from pathlib import Path
from typing import Any

import click

from lykeion.cli.delivery.fleet_commands import fleet_option
from lykeion.cli.options import json_option
from lykeion.cli.output import print_json, print_result, print_table
from lykeion.core import print_line, read_bounded
from lykeion.delivery import flags

from .flag_options import edit_options, environment_option, open_flags, time_text

TYPES = click.Choice(("string", "number", "boolean", "strings", "numbers"))
MAX_GROUP_BYTES = 1 << 20


@click.group()
def attributes() -> None:
    """Declare what is known of units: each attribute has one type, for ever."""


@attributes.command("set")
@click.argument("name")
@click.argument("type_", metavar="[string|number|boolean|strings|numbers]", type=TYPES)
@edit_options
@fleet_option
@environment_option
def set_attribute(name: str, type_: Any, edit: "flags.FlagEdit", fleet: Path, environment: str) -> None:
    """Declare an attribute, which conditions may name."""
    with open_flags(fleet, environment) as store:
        store.set_attribute(name, type_, edit)
    print_line(f"attribute {name} of {environment} is {type_}")


@attributes.command("list")
@fleet_option
@environment_option
@json_option
def list_attributes(fleet: Path, environment: str, as_json: bool) -> None:
    """All attributes with their types."""
    with open_flags(fleet, environment) as store:
        found = store.read().attributes
    if as_json:
        print_json(dict(found))
        return
    print_table(("attribute", "type"), list(found.items()))


@click.group()
def groups() -> None:
    """Save groups of units, by the values of an attribute."""


@groups.command("set")
@click.argument("name")
@click.option("--attribute", required=True, help="By whose values; it is a string or a number.")
@click.option(
    "--file",
    required=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="One value a line; the whole group.",
)
@edit_options
@fleet_option
@environment_option
def set_group(name: str, attribute: str, file: Path, edit: "flags.FlagEdit", fleet: Path, environment: str) -> None:
    """Make a group, or replace it. Clients are sent its values while a flag of theirs names it."""
    lines = read_bounded(file, flags.FlagError, "list of values", limit=MAX_GROUP_BYTES).decode(
        "utf-8-sig", "replace"
    )
    texts = [each.strip() for each in lines.splitlines() if each.strip()]
    with open_flags(fleet, environment) as store:
        kind = store.read().attributes.get(attribute)
        values = [_number(each, file) for each in texts] if kind == "number" else texts
        store.set_group(name, flags.SavedGroup(attribute, values), edit)
    print_line(f"group {name} of {environment} has {len(values):,} values of {attribute}")


@groups.command("list")
@fleet_option
@environment_option
@json_option
def list_groups(fleet: Path, environment: str, as_json: bool) -> None:
    """All groups; with --json, with their values."""
    with open_flags(fleet, environment) as store:
        found = store.read().groups
    if as_json:
        print_json({name: {"attribute": each.attribute, "values": list(each.values)} for name, each in found.items()})
        return
    rows = [(name, each.attribute, f"{len(each.values):,}") for name, each in found.items()]
    print_table(("group", "attribute", "values"), rows, right=("values",))


@click.group()
def keys() -> None:
    """Let clients read the flags of an environment, and end it."""


@keys.command("make")
@click.argument("client")
@edit_options
@fleet_option
@environment_option
@json_option
def make_key(client: str, edit: "flags.FlagEdit", fleet: Path, environment: str, as_json: bool) -> None:
    """Make a key for a client, which is shown once: the clientKey of GrowthBook's."""
    with open_flags(fleet, environment) as store:
        made = flags.ClientKeys(store.base, environment).make(client, edit)
    print_result(as_json, {"client": client, "environment": environment, "key": made}, made)


@keys.command("revoke")
@click.argument("client")
@edit_options
@fleet_option
@environment_option
def revoke_keys(client: str, edit: "flags.FlagEdit", fleet: Path, environment: str) -> None:
    """End all keys of a client. Streams that they opened end within half a minute."""
    with open_flags(fleet, environment) as store:
        ended = flags.ClientKeys(store.base, environment).revoke(client, edit)
    print_line(f"{ended} key{'s' * (ended != 1)} of {client} opened {environment} until now")


@keys.command("list")
@fleet_option
@environment_option
@json_option
def list_keys(fleet: Path, environment: str, as_json: bool) -> None:
    """Clients with the keys that they have, or had."""
    with open_flags(fleet, environment) as store:
        found = flags.ClientKeys(store.base, environment).listing()
    rows = [
        (each.client, time_text(each.made_at), each.made_by, time_text(each.revoked_at) if each.revoked_at else "")
        for each in found
    ]
    names = ("client", "made", "by", "revoked")
    if as_json:
        print_json([dict(zip(names, row, strict=True)) for row in rows])
        return
    print_table(names, rows)


def _number(text: str, file: Path) -> int | float:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 2**53:
        raise flags.FlagError(f"{file}: {text[:60]!r} is not a number below 2^53")
    return value
