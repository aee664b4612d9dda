"""``lykeion rollout start``: begin to move a version to devices."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click

from lykeion.cli.delivery.delivery_options import VERSION
from lykeion.cli.delivery.fleet_resource_place import command_here, in_cluster, place_options, with_fleet_resources
from lykeion.cli.options import FiniteRange, json_option
from lykeion.cli.output import print_json
from lykeion.core import print_line
from lykeion.delivery import device_service, rollouts


@click.command()
@click.argument("version", metavar="MODEL:VERSION")
@click.option("--name", help="Of the rollout; by default the model's with the time.")
@click.option("--waves", default="1%,10%,50%,100%", show_default=True, help="One after another.")
@click.option("--halt", "halts", multiple=True, metavar="RULE", help="Such as 'crash x2', 'p90_ms > 40'; repeatable.")
@click.option("--soak", default="1d", show_default=True, help="How long each wave is watched.")
@click.option("--interval", default="1h", show_default=True, help="Between two looks at the reports.")
@click.option("--alpha", type=FiniteRange(0.0001, 0.2), default=0.05, show_default=True, help="False halts at most.")
@click.option("--moved-share", type=FiniteRange(0, 1), default=0.5, show_default=True, help="Before the next wave.")
@click.option("--deadline", default="14d", show_default=True, help="A wave that waits longer for that pauses.")
@click.option("--silence", default="3d", show_default=True, help="Without a report for so long a device is silent.")
@click.option("--hours", default="", metavar="FROM-UNTIL", help="Of a device's own day in which it moves: 22-5.")
@click.option("--minimum-version", type=VERSION, metavar="VERSION", help="Only devices that run it or a later one.")
@click.option(
    "--maximum-version", type=VERSION, metavar="VERSION", help="Only devices that run it or an earlier one."
)
@click.option("--stay", is_flag=True, help="After a halt devices that moved stay; by default they return.")
@click.option("--where", default="", metavar="CONDITION", help="Only devices with such attributes.")
@click.option("--class", "classes", multiple=True, metavar="CLASS", help="Only devices of this class; repeatable.")
@click.option("--approvals", type=click.IntRange(0, 8), default=0, help="People who have to approve each wave.")
@click.option("--rate", "rates", multiple=True, metavar="METRIC=P", help="Of a device in an interval, as it is now.")
@click.option("--devices", type=click.IntRange(0), help="In the fleet; by default those that are enrolled.")
@click.option("--watch-only", is_flag=True, help="Report what would halt it, and go on.")
@place_options
@json_option
def start(
    version: str,
    name: str | None,
    waves: str,
    halts: Sequence[str],
    soak: str,
    interval: str,
    alpha: float,
    moved_share: float,
    deadline: str,
    silence: str,
    hours: str,
    minimum_version: int | None,
    maximum_version: int | None,
    stay: bool,
    where: str,
    classes: tuple[str, ...],
    approvals: int,
    rates: Sequence[str],
    devices: int | None,
    watch_only: bool,
    fleet: Path,
    namespace: str,
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
        moved_share=moved_share,
        deadline_seconds=rollouts.parse_seconds(deadline),
        silence_seconds=rollouts.parse_seconds(silence),
        window=rollouts.parse_hours(hours) if hours else None,
        minimum_version=minimum_version,
        maximum_version=maximum_version,
        on_halt="Stay" if stay else "Return",
        where=where,
        classes=classes,
        watch_only=watch_only,
    )
    name = name or f"{model}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    made = rollouts.checked(rollouts.ROLLOUT.new(name, spec, namespace=namespace))
    powers = _powers(spec, rates, devices, fleet)
    begun = with_fleet_resources(fleet, namespace, lambda store: store.create(made))
    if as_json:
        print_json(begun.document())
        return
    for each in powers:
        print_line(rollouts.described_power(each))
    print_line(f"rollout {name} has begun; follow it: {command_here(f'rollout describe {name}')}")


def _powers(
    spec: "rollouts.RolloutSpec", rates: Sequence[str], devices: int | None, fleet: Path
) -> list["rollouts.RulePower"]:
    if not rates:
        return []
    if devices is None and in_cluster():
        raise click.UsageError("a cluster does not know how many devices there are; name them: --devices N")
    if devices is None:
        store = device_service.open_fleet(fleet)
        devices = len(device_service.all_devices(store))
        store.close()
    scenario = rollouts.FleetScenario(max(devices, 1), rollouts.parse_rates(rates, most=1.0))
    return rollouts.check_power(spec, scenario, {})
