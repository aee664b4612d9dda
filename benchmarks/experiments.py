"""How often is a difference found where there is none, if an experiment is looked at after every unit?

Beside our intervals, on the same units: a plain z-test. Then power against one look at the end, assignments that
went wrong, and the same numbers by GrowthBook's gbstats, if it has an environment (peers/gbstats_numbers.py).
Writes docs/benchmarks/experiments.md. Fails if the upper 95 % limit of false findings is above 6 % anywhere, if
mismatches are found in more than 1 % of good assignments, or if a number differs from gbstats.

    python benchmarks/experiments.py [--runs 2000]
"""

import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
from measuring.aa_trials import (
    ALPHA,
    RARE,
    SCENARIOS,
    Scenario,
    events_as_units,
    found_at_any_look,
    found_at_the_end,
    growing_values,
    mismatches_found,
    ours,
    plain_z,
    rare_found,
)
from measuring.machine import describe
from peers.gbstats_numbers import greatest_difference

from lykeion.delivery.experiments.statistics import TUNING, planned_units

ROOT = Path(__file__).parents[1]
LIMIT = 0.06
EQUAL = 1e-6
BASE, POWER = 0.05, 0.8


@dataclass(frozen=True)
class Row:
    name: str
    units: int
    found: int
    by_z: int | None
    runs: int

    @property
    def upper(self) -> float:
        return upper_limit(self.found, self.runs)


@click.command(help=__doc__)
@click.option("--runs", type=click.IntRange(100), default=2_000, show_default=True, help="Of each kind.")
@click.option("--gbstats", type=click.Path(path_type=Path), default=ROOT / "build" / "gbstats" / "bin" / "python")
@click.option("--page", type=click.Path(path_type=Path), default=ROOT / "docs" / "benchmarks" / "experiments.md")
def main(runs: int, gbstats: Path, page: Path) -> None:
    rows = [judged(each, runs) for each in SCENARIOS]
    rows += [Row(name, events, rare_found(p, events, seed, runs), None, runs) for name, p, events, seed in RARE]
    few = max(100, runs // 10)
    wrong = [
        Row("values that still grow", 5_000, growing_values(few, ours), growing_values(few, plain_z), few),
        Row("events as units", 1_000, events_as_units(runs, ours), events_as_units(runs, plain_z), runs),
    ]
    powers = [power(effect, runs) for effect in (0.2, 0.4)]
    mismatches = [
        (name, *mismatches_found(list(declared), list(real), 20_000, seed, runs))
        for name, declared, real, seed in (
            ("50/50, as declared", (0.5, 0.5), (0.5, 0.5), 51),
            ("95/5, as declared", (0.95, 0.05), (0.95, 0.05), 52),
            ("three arms, as declared", (0.4, 0.3, 0.3), (0.4, 0.3, 0.3), 53),
            ("50/50, really 52/48", (0.5, 0.5), (0.52, 0.48), 54),
        )
    ]
    oracle = greatest_difference(gbstats) if gbstats.exists() else None
    page.write_text("\n".join(report(rows, wrong, powers, mismatches, oracle, runs)) + "\n")
    print(page.read_text())
    failed = [each.name for each in rows if each.upper > LIMIT]
    failed += [name for name, found, _ in mismatches if "really" not in name and found > 0.01 * runs]
    failed += ["gbstats"] if oracle is not None and oracle > EQUAL else []
    if failed:
        sys.exit(f"not as promised: {', '.join(failed)}")


def judged(scenario: Scenario, runs: int) -> Row:
    found, by_z = found_at_any_look(scenario, runs, ours, plain_z)
    return Row(scenario.name, scenario.units, found, by_z, runs)


def upper_limit(found: int, runs: int, z: float = 1.96) -> float:
    """Wilson's, of the share of runs."""
    share, spread = found / runs, z * z / runs
    return (share + spread / 2 + z * math.sqrt(share * (1 - share) / runs + spread / runs / 4)) / (1 + spread)


@dataclass(frozen=True)
class Power:
    effect: float
    fixed_units: int
    fixed_found: float
    always_units: int
    always_found: float
    at_fixed: float


def power(relative: float, runs: int) -> Power:
    """Of a proportion with 50/50: planned for one look at the end, and for looks at every unit."""
    after = BASE * (1 + relative)
    fixed, always = planned_units(
        after - BASE, (BASE * (1 - BASE), after * (1 - after)), (0.5, 0.5), ALPHA, POWER, TUNING
    )
    added = (after - BASE) / (1 - BASE)

    def made(units: int) -> Scenario:
        return Scenario("power", "Proportion", units, SCENARIOS[0].draw, 0.5, 61)

    return Power(
        relative,
        fixed,
        found_at_the_end(made(fixed), runs, plain_z, added) / runs,
        always,
        found_at_any_look(made(always), runs, ours, effect=added)[0] / runs,
        found_at_any_look(made(fixed), runs, ours, effect=added)[0] / runs,
    )


def report(
    rows: list[Row],
    wrong: list[Row],
    powers: list[Power],
    mismatches: list[tuple[str, int, int]],
    oracle: float | None,
    runs: int,
) -> Iterator[str]:
    yield "# Experiments without an effect, looked at after every unit"
    yield ""
    yield (
        f"{runs:,} simulated experiments of each kind, {describe()}. Both arms are alike; alpha is {ALPHA}. A false "
        "finding is an experiment in which a difference was found at any look. The upper limit is Wilson's, of 95 %. "
        "The plain z-test asks for the same number of events."
    )
    yield from _table(rows)
    yield ""
    yield "## Why a unit is a person who is counted once"
    yield ""
    yield "The same intervals where units are counted wrongly, which `lykeion experiment` does not do."
    yield from _table(wrong)
    yield ""
    yield "## Power"
    yield ""
    yield (
        f"A proportion of {BASE}, 50/50, units of both arms planned for a power of {POWER:.0%}: by a z-test with one "
        "look at the end, and by intervals that are looked at after every unit."
    )
    yield ""
    yield "| effect | units, one look | found | units, every look | found | found within the units of one look |"
    yield "|---|---:|---:|---:|---:|---:|"
    for each in powers:
        yield (
            f"| {each.effect:+.0%} | {each.fixed_units:,} | {_percent(each.fixed_found)} | {each.always_units:,} "
            f"| {_percent(each.always_found)} | {_percent(each.at_fixed)} |"
        )
    yield ""
    yield "## Assignments that went wrong"
    yield ""
    yield "20,000 units, found at p < .01 at any look: by the sequential test, and by chi-squared from unit 100 on."
    yield ""
    yield "| shares | sequential | chi-squared |"
    yield "|---|---:|---:|"
    for name, sequential, peeked in mismatches:
        yield f"| {name} | {_percent(sequential / runs)} | {_percent(peeked / runs)} |"
    yield ""
    if oracle is not None:
        yield (
            "Estimates, intervals and p-values of 400 random tables of means, proportions, ratios and means with a "
            f"covariate, absolute and relative, differ from gbstats by {oracle:.1e} at most."
        )
        yield ""
    yield "`python benchmarks/experiments.py` writes this page."


def _table(rows: list[Row]) -> Iterator[str]:
    yield ""
    yield "| experiment | units | false findings | upper limit | plain z-test |"
    yield "|---|---:|---:|---:|---:|"
    for each in rows:
        by_z = "" if each.by_z is None else _percent(each.by_z / each.runs)
        yield (
            f"| {each.name} | {each.units:,} | {_percent(each.found / each.runs)} | {_percent(each.upper)} | {by_z} |"
        )


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


if __name__ == "__main__":
    main()
