"""Are bad versions halted in the first wave, and good ones not? Simulated fleets, decided as real ones are.

Beside the halt rules, on the same counts: a fixed limit of 1.5 times the rate of devices that have not moved, at each
look, which is how many systems are configured. Writes docs/benchmarks/rollouts.md. Fails if more than 5 % of the
harmless versions of a fleet are halted, or fewer than 95 % of the harmful ones in the first wave.

    python benchmarks/rollouts.py [--runs 500]
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import click
import numpy as np
from measuring.machine import describe

from lykeion.delivery.rollouts import (
    FleetRolloutStatus,
    FleetScenario,
    RolloutSpec,
    parse_halt_rule,
    parse_waves,
    simulate,
)

ROOT = Path(__file__).parents[1]
DAY_S = 86_400
LIMIT = 1.5


@dataclass(frozen=True)
class Triple:
    """A fleet, what happens in it without harm, and the harm that a rule names."""

    name: str
    scenario: FleetScenario
    rule: str
    waves: str
    soak_days: int

    @property
    def spec(self) -> RolloutSpec:
        return RolloutSpec(
            model="shoes",
            version="v8",
            waves=parse_waves(self.waves, self.soak_days * DAY_S),
            halt_when=(parse_halt_rule(self.rule), parse_halt_rule("silence x3")),
            interval_seconds=DAY_S,
        )

    @property
    def harmless(self) -> FleetScenario:
        return replace(self.scenario, harm={}, bricked=0.0)


def _fleet(devices: int, crash: float, harm: float = 1.0, bricked: float = 0.0) -> FleetScenario:
    return FleetScenario(devices, {"crash": crash, "silence": 0.005}, {"crash": harm}, bricked)


SEEN = (
    Triple("10⁴, crashes 1 %, 3 times", _fleet(10_000, 0.01, 3), "crash x3", "10%,100%", 14),
    Triple("10⁴, crashes .1 %, 10 times", _fleet(10_000, 0.001, 10), "crash x10", "10%,100%", 14),
    Triple("10⁴, 30 % bricked", _fleet(10_000, 0.001, bricked=0.3), "crash x3", "1%,10%,100%", 14),
    Triple("10⁵, crashes .1 %, 3 times", _fleet(100_000, 0.001, 3), "crash x3", "5%,100%", 14),
    Triple("10⁵, crashes 1 %, 2 times", _fleet(100_000, 0.01, 2), "crash x2", "2%,20%,100%", 14),
    Triple("10⁵, 5 % bricked", _fleet(100_000, 0.001, bricked=0.05), "crash x3", "1%,10%,100%", 14),
    Triple("10⁶, crashes .1 %, 2 times", _fleet(1_000_000, 0.001, 2), "crash x2", "1%,10%,100%", 14),
    Triple("10⁶, crashes .1 %, 1.5 times", _fleet(1_000_000, 0.001, 1.5), "crash x1.5", "5%,100%", 14),
)
UNSEEN = (
    Triple("10⁴, crashes .1 %, 3 times", _fleet(10_000, 0.001, 3), "crash x3", "1%,10%,100%", 14),
    Triple("10⁵, crashes .1 %, 1.5 times", _fleet(100_000, 0.001, 1.5), "crash x1.5", "1%,10%,100%", 14),
)
"""What `rollout start` refuses beforehand."""


@dataclass(frozen=True)
class Row:
    false_halts: float
    in_first_wave: float
    at_all: float
    days: float
    moved: float
    false_by_limit: float

    def holds(self) -> bool:
        return self.false_halts <= 0.05 and self.in_first_wave >= 0.95


@click.command(help=__doc__)
@click.option("--runs", type=click.IntRange(1), default=500, show_default=True, help="Of each kind.")
@click.option("--page", type=click.Path(path_type=Path), default=ROOT / "docs" / "benchmarks" / "rollouts.md")
def main(runs: int, page: Path) -> None:
    rows = {each.name: judged(each, runs) for each in (*SEEN, *UNSEEN)}
    page.write_text("\n".join(report(rows, runs)) + "\n")
    print(page.read_text())
    if wrong := [each.name for each in SEEN if not rows[each.name].holds()]:
        sys.exit(f"not as promised: {', '.join(wrong)}")


def judged(triple: Triple, runs: int) -> Row:
    limited = set[int]()

    def look(run: int, status: FleetRolloutStatus) -> None:
        if _above_limit(status):
            limited.add(run)

    harmless = simulate(triple.spec, triple.harmless, runs, 1, look)
    harmful = simulate(triple.spec, triple.scenario, runs, 2)
    halted = [each for each in harmful if each.state == "Halted"]
    return Row(
        false_halts=sum(each.state == "Halted" for each in harmless) / runs,
        in_first_wave=sum(each.wave == 1 for each in halted) / runs,
        at_all=len(halted) / runs,
        days=float(np.median([each.seconds for each in halted] or [np.nan])) / DAY_S,
        moved=float(np.median([each.moved for each in halted] or [np.nan])),
        false_by_limit=len(limited) / runs,
    )


def _above_limit(status: FleetRolloutStatus) -> bool:
    """By the counts since the rollout began, once there was a crash of a device that has not moved."""
    crashes = status.evidence[0]
    return (
        crashes.other_events > 0
        and crashes.moved_events * crashes.others > LIMIT * crashes.other_events * crashes.moved
    )


def report(rows: dict[str, Row], runs: int) -> Iterator[str]:
    yield "# Rollouts to devices"
    yield ""
    yield (
        f"{2 * runs * len(rows):,} simulated rollouts, {runs:,} harmless and {runs:,} harmful ones of each fleet, "
        f"{describe()}. On any day 60 % of the devices report, half of those that may move then do, and .5 % of all "
        "fall silent. The rules are the one in the table and `silence x3`; `alpha` is .05, and the reports are "
        "looked at daily. The last column is the share of *harmless* versions that a fixed limit of 1.5 times the "
        "crash rate of the other devices would halt."
    )
    for title, triples in (
        ("Seen in the first wave", SEEN),
        ("Not seen in the first wave, and refused at the start", UNSEEN),
    ):
        yield ""
        yield f"## {title}"
        yield ""
        yield (
            "| devices, a day without harm, harm | rule | waves, days each | harmless halted | harmful halted in the "
            "first wave | at all | median days | devices that had it | fixed limit halts harmless |"
        )
        yield "|---|---|---|---:|---:|---:|---:|---:|---:|"
        for each in triples:
            row = rows[each.name]
            yield (
                f"| {each.name} | `{each.rule}` | {each.waves.replace(',', ', ')}; {each.soak_days} "
                f"| {_percent(row.false_halts)} | {_percent(row.in_first_wave)} | {_percent(row.at_all)} "
                f"| {row.days:.0f} | {row.moved:,.0f} | {_percent(row.false_by_limit)} |"
            )
    yield ""
    yield "`python benchmarks/rollouts.py` writes this page."


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


if __name__ == "__main__":
    main()
