"""``lykeion simulate``: devices that are none, against a gateway."""

import time
from pathlib import Path
from typing import Any

import click

from lykeion.cli.delivery.fleet_commands import fleet_option, open_store
from lykeion.cli.options import FiniteRange, json_option
from lykeion.cli.output import print_json
from lykeion.core import CONSOLE, DONE_BUT, core_count, print_line
from lykeion.delivery import gateway as gateways
from lykeion.delivery import rollouts, simulation


@click.command()
@click.option("--devices", type=click.IntRange(1, 1_000_000), default=100, show_default=True, help="How many.")
@click.option(
    "--gateway", "url", default="http://127.0.0.1:8090", show_default=True, metavar="URL", help="Its address."
)
@fleet_option
@click.option("--for", "lasts", default="1m", show_default=True, help="How long; units s m h d w.")
@click.option("--connect-within", default="10s", show_default=True, help="All connect at random times within it.")
@click.option("--every", default="10s", show_default=True, help="Between two events of a device, more or less.")
@click.option(
    "--faults",
    type=FiniteRange(0, 1),
    default=0.0,
    show_default=True,
    help="Chance of one with each event: cut, half-open, repeated, reordered, restart, leave, bad model.",
)
@click.option(
    "--skew", type=FiniteRange(0, 1e9), default=0.0, show_default=True, help="Seconds that clocks are wrong."
)
@click.option(
    "--seed", type=int, default=0, show_default=True, help="The same seed draws the same events and faults."
)
@click.option(
    "--processes", type=click.IntRange(1, 64), default=core_count, show_default="cores", help="That run the devices."
)
@click.option(
    "--away",
    metavar="TIME",
    help="No network: how devices come back to a gateway that is killed and away for so long, such as 30s.",
)
@click.option(
    "--connects",
    type=FiniteRange(0.1, 1e6),
    default=gateways.CONNECTS_A_SECOND,
    show_default=True,
    help="With --away: devices that a gateway lets connect in a second.",
)
@click.option("--stopped", is_flag=True, help="With --away: it is stopped, and tells devices when to return.")
@json_option
def simulate(
    devices: int, url: str, fleet: Path, lasts: str, connect_within: str, every: str, faults: float, skew: float,
    seed: int, processes: int, away: str | None, connects: float, stopped: bool, as_json: bool,
) -> None:  # fmt: skip
    """Run simulated devices against a gateway on this machine, and compare what they were told with its store.

    The devices are made in the fleet's store; the exit code is 3 if it has lost or doubled anything.
    """
    if away is not None:
        told_s = gateways.RETURN_S if stopped else 0.0
        lost = simulation.GatewayAway(devices, rollouts.parse_seconds(away), connects, told_s)
        _print_return(simulation.simulate_return(lost, seed), as_json)
        return
    with open_store(fleet) as store:
        identities = simulation.make_devices(store, devices, time.time())
        swarm = simulation.Swarm(
            url,
            identities,
            rollouts.parse_seconds(lasts),
            seed,
            min(processes, devices),
            rollouts.parse_seconds(every),
            faults,
            skew,
            rollouts.parse_seconds(connect_within),
        )
        with CONSOLE.progress("connected", devices) as progress:
            report = simulation.run_swarm(swarm, progress.advance)
        problems = simulation.check_store(store, report.told)
    times = sorted(report.acknowledged_ms)
    shown = {
        "devices": devices,
        "counts": dict(sorted(report.counts.items())),
        "acknowledged_ms": {f"p{part}": times[len(times) * part // 100] for part in (50, 99)} if times else {},
        "problems": list(problems),
    }
    if as_json:
        print_json(shown)
    else:
        for name, count in sorted(report.counts.items()):
            print_line(f"{name}: {count:,}")
        for problem in problems:
            print_line(problem)
        print_line("the store has what the devices were told" if not problems else f"{len(problems)} problems")
    if problems:
        raise click.exceptions.Exit(DONE_BUT)


def _print_return(found: "simulation.ReturnedDevices", as_json: bool) -> None:
    back, asked = found.back.cumsum(), found.asked
    shown: dict[str, Any] = {f"back_p{part}_s": int((back < back[-1] * part / 100).sum()) + 1 for part in (50, 99)}
    shown |= {
        "all_back_s": found.all_back_s,
        "most_asked_in_a_second": int(asked.max()),
        "second_peak": round(found.second_peak, 3),
        "asked_per_device": round(float(asked.sum() / back[-1]), 2),
    }
    if as_json:
        print_json({**shown, "asked": asked.tolist(), "back": found.back.tolist()})
        return
    for name, value in shown.items():
        print_line(f"{name.replace('_', ' ')}: {value:,}")
