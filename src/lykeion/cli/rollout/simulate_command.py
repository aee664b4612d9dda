"""``lykeion rollout simulate``: what halt rules would see in a fleet."""

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import click

from lykeion.cli.options import FiniteRange, json_option
from lykeion.cli.output import print_json, print_table
from lykeion.core import DONE_BUT, print_line
from lykeion.delivery import rollouts

SHARE = FiniteRange(0, 1)


@click.command()
@click.option("--devices", type=click.IntRange(10, 100_000_000), required=True, help="In the fleet.")
@click.option("--waves", default="1%,10%,50%,100%", show_default=True, help="Of the fleet, one after another.")
@click.option(
    "--halt", "halts", multiple=True, metavar="RULE", help="Such as 'crash x2', 'p90_ms > 40', 'silence x2'."
)
@click.option("--rate", "rates", multiple=True, metavar="METRIC=P", help="Of a device in an interval, without harm.")
@click.option("--harm", "harms", multiple=True, metavar="METRIC=RATIO", help="The odds in devices that moved.")
@click.option("--bricked", type=SHARE, default=0.0, help="Share of devices that moved and never report again.")
@click.option("--reporting", type=SHARE, default=0.6, show_default=True, help="Devices that are on in an interval.")
@click.option("--silence", default="3d", show_default=True, help="Without a report for so long a device is silent.")
@click.option("--soak", default="1d", show_default=True, help="How long each wave is watched.")
@click.option("--interval", default="1d", show_default=True, help="Between two looks.")
@click.option("--alpha", type=FiniteRange(0.0001, 0.2), default=0.05, show_default=True, help="False halts at most.")
@click.option("--runs", type=click.IntRange(1, 100_000), default=200, show_default=True, help="Simulated rollouts.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the random numbers.")
@json_option
def simulate(
    devices: int,
    waves: str,
    halts: Sequence[str],
    rates: Sequence[str],
    harms: Sequence[str],
    bricked: float,
    reporting: float,
    silence: str,
    soak: str,
    interval: str,
    alpha: float,
    runs: int,
    seed: int,
    as_json: bool,
) -> None:
    """Say how rollouts to a fleet would end, and whether the first wave is large enough for the rules.

    \b
      lykeion rollout simulate --devices 100000 --waves 5%,100% --soak 14d \\
          --halt 'crash x3' --halt 'silence x2' --rate crash=0.1% --rate silence=0.5%

    Without --harm and --bricked the version is harmless, and a rollout that is halted is a false alarm. The exit code
    is 3 if a rule sees the harm that it names in less than 95 % of first waves.
    """
    spec = rollouts.RolloutSpec(
        model="simulated",
        version="v1",
        waves=rollouts.parse_waves(waves, rollouts.parse_seconds(soak)),
        halt_when=tuple(map(rollouts.parse_halt_rule, halts or ("crash x2",))),
        interval_seconds=rollouts.parse_seconds(interval),
        alpha=alpha,
        silence_seconds=rollouts.parse_seconds(silence),
    )
    base = rollouts.parse_rates(rates or ("crash=0.1%",), most=1.0)
    scenario = rollouts.FleetScenario(devices, base, rollouts.parse_rates(harms), bricked, reporting)
    ends = _ends(rollouts.simulate(spec, scenario, runs, seed))
    powers = rollouts.rule_powers(spec, rollouts.FleetScenario(devices, base, reporting=reporting), {}, seed)
    if as_json:
        print_json({"ends": ends, "rules": [_document(each) for each in powers]})
    else:
        _print(ends, powers)
    if any(each.caught < rollouts.WANTED_POWER for each in powers):
        sys.exit(DONE_BUT)


def _ends(found: Sequence["rollouts.SimulatedRollout"]) -> list[dict[str, Any]]:
    """The share of runs by how they ended, the most frequent first, with medians."""
    groups = Counter((each.reason, each.wave) for each in found)
    rows: list[dict[str, Any]] = []
    for (reason, wave), count in groups.most_common():
        same = sorted((each.seconds, each.moved) for each in found if (each.reason, each.wave) == (reason, wave))
        seconds, moved = same[len(same) // 2]
        rows.append({"end": reason, "wave": wave, "share": count / len(found), "seconds": seconds, "moved": moved})
    return rows


def _document(power: "rollouts.RulePower") -> dict[str, Any]:
    return {**asdict(power), "rule": rollouts.halt_rule_text(power.rule)}


def _print(ends: Sequence[Mapping[str, Any]], powers: Sequence["rollouts.RulePower"]) -> None:
    rows = [
        (
            each["end"],
            each["wave"],
            f"{each['share']:.1%}",
            rollouts.seconds_text(each["seconds"]),
            f"{each['moved']:,}",
        )
        for each in ends
    ]
    right = ("wave", "rollouts", "after", "devices moved")
    print_table(("end", *right), rows, right=right)
    for each in powers:
        print_line(rollouts.described_power(each))
