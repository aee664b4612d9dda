"""``lykeion rollout``: start rollouts, follow them, and decide by hand."""

import asyncio
import getpass
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from lykeion.cli.delivery.fleet_commands import fleet_option
from lykeion.cli.options import FiniteRange, json_option
from lykeion.cli.output import print_json, print_table
from lykeion.control import Key, ResourceStore
from lykeion.core import print_line
from lykeion.delivery import device_service, rollouts

T = TypeVar("T")


def _with_rollouts(fleet: Path, work: Callable[[ResourceStore], Awaitable[T]]) -> T:
    async def run() -> T:
        async with device_service.connect_rollouts(fleet) as store:
            return await work(store)

    return asyncio.run(run())


@click.command()
@click.argument("version", metavar="MODEL:VERSION")
@click.option("--name", help="Of the rollout; by default the model's with the time.")
@click.option("--waves", default="1%,10%,50%,100%", show_default=True, help="Of the fleet, one after another.")
@click.option("--halt", "halts", multiple=True, metavar="RULE", help="Such as 'crash x2', 'p90_ms > 40'; repeatable.")
@click.option("--soak", default="1d", show_default=True, help="How long each wave is watched.")
@click.option("--interval", default="1h", show_default=True, help="Between two looks at the reports.")
@click.option("--alpha", type=FiniteRange(0.0001, 0.2), default=0.05, show_default=True, help="False halts at most.")
@click.option("--where", default="", metavar="CONDITION", help="Only devices with such attributes.")
@click.option("--class", "classes", multiple=True, metavar="CLASS", help="Only devices of this class; repeatable.")
@click.option("--approvals", type=click.IntRange(0, 8), default=0, help="People who have to approve each wave.")
@click.option("--rate", "rates", multiple=True, metavar="METRIC=P", help="Of a device in an interval, as it is now.")
@click.option("--devices", type=click.IntRange(0), help="In the fleet; by default those that are enrolled.")
@click.option("--watch-only", is_flag=True, help="Report what would halt it, and go on.")
@fleet_option
@json_option
def start(
    version: str,
    name: str | None,
    waves: str,
    halts: Sequence[str],
    soak: str,
    interval: str,
    alpha: float,
    where: str,
    classes: tuple[str, ...],
    approvals: int,
    rates: Sequence[str],
    devices: int | None,
    watch_only: bool,
    fleet: Path,
    as_json: bool,
) -> None:
    """Begin to move a version to devices.

    \b
      lykeion rollout start shoes:champion --waves 5%,100% --soak 14d --halt 'crash x3' --rate crash=0.1%

    With the rates of the metrics (--rate) it is simulated first, and refused if the first wave could not see the harm
    that the rules name.
    """
    model, _, asked = version.partition(":")
    spec = rollouts.RolloutSpec(
        model=model,
        version=asked or "champion",
        waves=rollouts.parse_waves(waves, rollouts.parse_seconds(soak), approvals),
        halt_when=tuple(map(rollouts.parse_halt_rule, halts)),
        interval_seconds=rollouts.parse_seconds(interval),
        alpha=alpha,
        where=where,
        classes=classes,
        watch_only=watch_only,
    )
    made = rollouts.checked(rollouts.ROLLOUT.new(name or f"{model}-{datetime.now(UTC):%Y%m%d-%H%M%S}", spec))
    powers = _powers(spec, rates, devices, fleet)
    begun = _with_rollouts(fleet, lambda store: store.create(made))
    if as_json:
        print_json(begun.document())
        return
    for each in powers:
        print_line(rollouts.described_power(each))
    print_line(f"rollout {begun.metadata.name} has begun; follow it: lykeion rollout describe {begun.metadata.name}")


def _powers(
    spec: "rollouts.RolloutSpec", rates: Sequence[str], devices: int | None, fleet: Path
) -> list["rollouts.RulePower"]:
    if not rates:
        return []
    if devices is None:
        store = device_service.open_fleet(fleet)
        devices = len(device_service.all_devices(store))
        store.close()
    scenario = rollouts.FleetScenario(max(devices, 1), rollouts.parse_rates(rates, most=1.0))
    return rollouts.check_power(spec, scenario, {})


@click.command()
@fleet_option
@json_option
def get(fleet: Path, as_json: bool) -> None:
    """All rollouts."""
    found = _with_rollouts(fleet, lambda store: store.listing(rollouts.ROLLOUT)).items
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
@fleet_option
@json_option
def describe(name: str, fleet: Path, as_json: bool) -> None:
    """A rollout: its rules with what they have seen, and what has happened."""
    found: rollouts.Rollout = _with_rollouts(fleet, lambda store: store.get(_key(name)))
    if as_json:
        print_json(found.document())
        return
    spec, status = found.spec, found.status
    print_line(f"{found.metadata.name}: {spec.model} {status.version or spec.version}, {status.state}")
    print_line(f"{status.reason}: {status.message}" if status.reason else "it has not begun")
    print_line(f"wave {status.wave} of {len(spec.waves)}; {status.moved:,} of {status.assigned:,} devices run it")
    for rule, evidence in zip(spec.halt_when, status.evidence, strict=False):
        print_line(f"  {rollouts.described(rule, evidence)}")
    for step in status.steps:
        print_line(f"{step.at:%Y-%m-%d %H:%M:%S} {step.reason} {step.message}".rstrip())


def _key(name: str) -> Key:
    return Key(rollouts.ROLLOUT.name, "default", name)


def _change(name: str, help_text: str, done: str, changes: Callable[[Any], Any]) -> click.Command:
    """A command that changes a rollout's spec."""

    def run(rollout: str, fleet: Path) -> None:
        async def change(store: ResourceStore) -> None:
            await store.apply(changes(await store.get(_key(rollout))))

        _with_rollouts(fleet, change)
        print_line(f"rollout {rollout} {done}")

    argument = click.argument("rollout", metavar="NAME")
    return click.command(name, help=help_text)(argument(fleet_option(run)))


pause = _change("pause", "Begin no further wave.", "is paused", lambda each: rollouts.with_spec(each, pause=True))
resume = _change("resume", "Go on after a pause.", "goes on", lambda each: rollouts.with_spec(each, pause=False))
halt = _change(
    "halt", "End a rollout; devices that moved return, or stay if it says so.", "is halted",
    lambda each: rollouts.with_spec(each, halt=_now()),
)  # fmt: skip
rollback = _change(
    "rollback", "Return all devices that moved, also after the end.", "is rolled back",
    lambda each: rollouts.with_spec(each, rollback=_now()),
)  # fmt: skip


@click.command()
@click.argument("name")
@click.option("--wave", type=click.IntRange(1, 32), help="By default the next.")
@click.option("--by", default=getpass.getuser, show_default="you", help="Who approves it.")
@fleet_option
def approve(name: str, wave: int | None, by: str, fleet: Path) -> None:
    """Let a wave begin that people have to approve."""

    async def change(store: ResourceStore) -> int:
        found: rollouts.Rollout = await store.get(_key(name))
        number = wave or min(found.status.wave + 1, len(found.spec.waves))
        given = rollouts.Approval(wave=number, by=by)
        await store.apply(rollouts.with_spec(found, approvals=(*found.spec.approvals, given)))
        return number

    print_line(f"rollout {name}: wave {_with_rollouts(fleet, change)} is approved by {by}")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
