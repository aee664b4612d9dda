"""``lykeion rollout``: follow rollouts, and decide by hand."""

import getpass
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from lykeion.cli.delivery.fleet_resource_place import place_options, with_fleet_resources
from lykeion.cli.options import json_option
from lykeion.cli.output import print_json, print_table
from lykeion.control import ResourceStore
from lykeion.core import Conflict, print_line
from lykeion.delivery import rollouts

from .rollout_place import change_rollout, rollout_key


@click.command()
@place_options
@json_option
def get(fleet: Path, namespace: str, as_json: bool) -> None:
    """All rollouts."""
    found = with_fleet_resources(fleet, namespace, lambda store: store.listing(rollouts.ROLLOUT, namespace)).items
    if as_json:
        print_json([each.document() for each in found])
        return
    rows = [
        (
            each.metadata.name,
            f"{each.spec.model} {each.status.version}".strip(),
            each.status.state,
            f"{each.status.wave}/{len(each.spec.waves)}",
            f"{each.status.moved:,} of {each.status.assigned:,}",
            each.status.reason,
        )
        for each in found
    ]
    print_table(("rollout", "version", "state", "wave", "moved", "why"), rows)


@click.command()
@click.argument("name")
@place_options
@json_option
def describe(name: str, fleet: Path, namespace: str, as_json: bool) -> None:
    """A rollout: its rules with what they have seen, and what has happened."""
    key = rollout_key(name, namespace)
    found: rollouts.Rollout = with_fleet_resources(fleet, namespace, lambda store: store.get(key))
    if as_json:
        print_json(found.document())
        return
    spec, status = found.spec, found.status
    print_line(f"{found.metadata.name}: {spec.model} {status.version or spec.version}, {status.state}")
    print_line(f"{status.reason}: {status.message}" if status.reason else "it has not begun")
    looked = f"; {rollouts.described_devices(status)} ({status.looked:%Y-%m-%d %H:%M:%S})" if status.looked else ""
    print_line(f"wave {status.wave} of {len(spec.waves)}{looked}")
    for rule, evidence in zip(spec.halt_when, status.evidence, strict=False):
        print_line(f"  {rollouts.described(rule, evidence)}")
    for step in status.steps:
        print_line(f"{step.at:%Y-%m-%d %H:%M:%S} {step.reason} {step.message}".rstrip())


def _change(name: str, help_text: str, done: str, changes: Callable[[Any], Any]) -> click.Command:
    """A command that changes a rollout's spec."""

    def run(rollout: str, fleet: Path, namespace: str) -> None:
        key = rollout_key(rollout, namespace)
        with_fleet_resources(fleet, namespace, lambda store: change_rollout(store, key, changes))
        print_line(f"rollout {rollout} {done}")

    argument = click.argument("rollout", metavar="NAME")
    return click.command(name, help=help_text)(argument(place_options(run)))


pause = _change("pause", "Begin no further wave.", "is paused", lambda each: rollouts.paused(each))
resume = _change("resume", "Go on after a pause.", "goes on", lambda each: rollouts.resumed(each))
halt = _change(
    "halt", "End a rollout; devices that moved return, or stay if it says so.", "is halted",
    lambda each: rollouts.halted(each, _now()),
)  # fmt: skip
rollback = _change(
    "rollback", "Return all devices that moved, also after the end.", "is rolled back",
    lambda each: rollouts.rolled_back(each, _now()),
)  # fmt: skip


@click.command()
@click.argument("name")
@click.option("--wave", type=click.IntRange(1, 32), help="By default the next.")
@click.option("--by", default=getpass.getuser, show_default="you", help="Who approves it.")
@place_options
def approve(name: str, wave: int | None, by: str, fleet: Path, namespace: str) -> None:
    """Let a wave begin that people have to approve."""
    key = rollout_key(name, namespace)
    found = with_fleet_resources(
        fleet, namespace, lambda store: change_rollout(store, key, lambda each: rollouts.approved(each, by, wave))
    )
    print_line(f"rollout {name}: wave {found.spec.approvals[-1].wave} is approved by {by}")


@click.command()
@click.argument("name")
@click.option("--force", is_flag=True, help="Also if devices will run something else then.")
@place_options
def delete(name: str, force: bool, fleet: Path, namespace: str) -> None:
    """Delete a rollout that no device depends on any more: one that has not begun, or was followed by another one."""
    key = rollout_key(name, namespace)

    async def remove(store: ResourceStore) -> None:
        found: rollouts.Rollout = await store.get(key)
        others = (await store.listing(rollouts.ROLLOUT, namespace)).items
        if not force and (why := rollouts.why_needed(found, others)):
            raise Conflict(f"rollout {name} is not deleted: {why}; --force deletes it nevertheless")
        await store.delete(key, found.metadata.uid)

    with_fleet_resources(fleet, namespace, remove)
    print_line(f"rollout {name} is deleted")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
