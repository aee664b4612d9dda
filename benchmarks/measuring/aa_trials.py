"""Experiments without any effect, and with one: made up unit by unit, and looked at after each that is counted.

A unit is counted when its outcome window and the time for late events are over, so each enters once, in the order of
exposure. Seeded: a scenario's trials are the same whatever else runs.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from lykeion.delivery.experiments.statistics import (
    MINIMUM_EVENTS,
    RATE_CONCENTRATION,
    SRM_CONCENTRATION,
    ArmDifference,
    ArmSums,
    MetricKind,
    Values,
    difference,
    is_different,
    log_evidence_path,
    running_sums,
    winsorised,
)

ALPHA = 0.05
SRM_ALPHA = 0.01
BATCH = 100
Z = 1.959963984540054
Judge = Callable[[ArmDifference, MetricKind], Values]
"""Whether a difference is called one, at each look."""


@dataclass(frozen=True)
class Units:
    """One row a trial, one column a unit: its value, and where there is one its denominator and covariate."""

    y: Values
    d: Values | None = None
    x: Values | None = None


@dataclass(frozen=True)
class Scenario:
    """``draw`` makes units; ``share`` of them are treated."""

    name: str
    kind: MetricKind
    units: int
    draw: Callable[[np.random.Generator, tuple[int, int]], Units]
    share: float = 0.5
    seed: int = 0


def _clicks(base: float) -> Callable[[Any, tuple[int, int]], Units]:
    return lambda rng, shape: Units((rng.random(shape) < base).astype(np.float64))


def _ratio(rng: np.random.Generator, shape: tuple[int, int]) -> Units:
    """Clicks over searches: people search differently often, and click on a share of their own."""
    searches = 1.0 + rng.poisson(rng.gamma(0.7, 6.0, shape))
    return Units(rng.binomial(searches.astype(np.int64), rng.beta(0.5, 9.5, shape)).astype(np.float64), searches)


def _heavy(rng: np.random.Generator, shape: tuple[int, int]) -> Units:
    """Most spend nothing; the rest log-normally, winsorised at the declared 500."""
    spent = np.where(rng.random(shape) < 0.2, rng.lognormal(2.0, 2.0, shape), 0.0)
    return Units(winsorised(spent, 500.0))


def _heavy_whole(rng: np.random.Generator, shape: tuple[int, int]) -> Units:
    return Units(np.where(rng.random(shape) < 0.2, rng.lognormal(2.0, 1.5, shape), 0.0))


def _many(rng: np.random.Generator, shape: tuple[int, int]) -> Units:
    """Units that have hundreds of events, or none."""
    return Units(rng.poisson(rng.gamma(0.15, 200.0, shape)).astype(np.float64))


def _late(rng: np.random.Generator, shape: tuple[int, int]) -> Units:
    """Events within a week of the exposure that arrive later; after the cut-off they are left out."""
    events = rng.poisson(rng.gamma(0.5, 4.0, shape))
    in_time = 1 - 0.5 * rng.random(shape) ** 2  # by unit: some phones are offline for long
    return Units(rng.binomial(events, in_time).astype(np.float64))


def _covariate(rng: np.random.Generator, shape: tuple[int, int]) -> Units:
    habit = rng.gamma(0.5, 4.0, shape)
    return Units(rng.poisson(habit).astype(np.float64), x=rng.poisson(habit).astype(np.float64))


SCENARIOS = (
    Scenario("proportion .05, 50/50", "Proportion", 5_000, _clicks(0.05), 0.5, 1),
    Scenario("proportion .05, 95/5", "Proportion", 10_000, _clicks(0.05), 0.05, 2),
    Scenario("proportion .002, 50/50", "Proportion", 30_000, _clicks(0.002), 0.5, 3),
    Scenario("ratio, 50/50", "Ratio", 5_000, _ratio, 0.5, 4),
    Scenario("ratio, 95/5", "Ratio", 10_000, _ratio, 0.05, 5),
    Scenario("heavy tails, 50/50", "Mean", 5_000, _heavy, 0.5, 6),
    Scenario("heavy tails, 95/5", "Mean", 10_000, _heavy, 0.05, 7),
    Scenario("heavy tails, not winsorised, 50/50", "Mean", 5_000, _heavy_whole, 0.5, 8),
    Scenario("units with many events, 50/50", "Mean", 5_000, _many, 0.5, 9),
    Scenario("units with many events, 95/5", "Mean", 10_000, _many, 0.05, 10),
    Scenario("late events, 50/50", "Mean", 5_000, _late, 0.5, 11),
    Scenario("mean with a covariate, 50/50", "Mean", 5_000, _covariate, 0.5, 12),
)
RARE = (("rare events, exact, 50/50", 0.5, 400, 21), ("rare events, exact, 95/5", 0.05, 400, 22))
"""A name, the treatment's share, units with the event, a seed."""


def ours(found: ArmDifference, kind: MetricKind) -> Values:
    return is_different(found, ALPHA, MINIMUM_EVENTS[kind])


def plain_z(found: ArmDifference, kind: MetricKind) -> Values:
    """What a test of one look says at each: for comparison. It asks for the same events."""
    with np.errstate(invalid="ignore"):
        return (np.abs(found.estimate) > Z * np.sqrt(found.variance)) & (found.events >= MINIMUM_EVENTS[kind])


def found_at_any_look(scenario: Scenario, runs: int, *judges: Judge, effect: float = 0.0) -> list[int]:
    """By judge: in how many trials a difference was called one at least once. ``effect`` adds to treated values."""
    counts = [0] * len(judges)
    for each in differences(scenario, runs, effect):
        for number, judge in enumerate(judges):
            counts[number] += int(judge(each, scenario.kind).any(axis=-1).sum())
    return counts


def found_at_the_end(scenario: Scenario, runs: int, judge: Judge, effect: float = 0.0) -> int:
    """Trials in which it was called one at the last look, which was the only one."""
    return sum(int(judge(each, scenario.kind)[:, -1].sum()) for each in differences(scenario, runs, effect))


def differences(scenario: Scenario, runs: int, effect: float = 0.0) -> Iterator[ArmDifference]:
    """After every unit, in batches of trials."""
    for begin in range(0, runs, BATCH):
        rng = np.random.default_rng([scenario.seed, begin])
        shape = (min(BATCH, runs - begin), scenario.units)
        treated, units = rng.random(shape) < scenario.share, scenario.draw(rng, shape)
        y = units.y
        if effect and scenario.kind == "Proportion":
            y = np.maximum(y, treated & (rng.random(shape) < effect))
        control = running_sums(~treated, y, units.d, units.x)
        yield difference(
            scenario.kind, control, running_sums(treated, y, units.d, units.x), covariate=units.x is not None
        )


def rare_found(share: float, events: int, seed: int, runs: int) -> int:
    """Trials in which the exact test of a rare event found a difference after any of the events."""
    arms = (np.random.default_rng(seed).random((runs, events)) < share).astype(np.int64)
    path = log_evidence_path(arms, [1 - share, share], RATE_CONCENTRATION)
    return int((path.max(axis=-1) >= -np.log(ALPHA)).sum())


def mismatches_found(shares: list[float], real: list[float], units: int, seed: int, runs: int) -> tuple[int, int]:
    """Trials in which units were found in other shares than declared after any unit: by ours, and by chi-squared."""
    sequential = peeked = 0
    for begin in range(0, runs, BATCH):
        rng = np.random.default_rng([seed, begin])
        arms = rng.choice(len(shares), (min(BATCH, runs - begin), units), p=real)
        sequential += int((log_evidence_path(arms, shares, SRM_CONCENTRATION).max(-1) >= -np.log(SRM_ALPHA)).sum())
        total = np.arange(1, units + 1)
        squares = np.zeros(arms.shape)
        for arm, share in enumerate(shares):
            squares += (np.cumsum(arms == arm, axis=-1) - total * share) ** 2 / (total * share)
        limit = {2: 6.6349, 3: 9.2103}[len(shares)]  # chi-squared at p = .01
        peeked += int((squares[:, 100:] > limit).any(axis=-1).sum())
    return sequential, peeked


def growing_values(runs: int, judge: Judge, units: int = 5_000, events: int = 200_000, seed: int = 31) -> int:
    """Why units are counted once: all exposed at once, and looked at after each event while their values grow."""
    found = 0
    for run in range(runs):
        rng = np.random.default_rng([seed, run])
        treated, who = rng.random(units) < 0.5, rng.integers(0, units, events)
        order = np.argsort(who, kind="stable")
        nth = np.empty(events)
        starts = np.searchsorted(who[order], np.arange(units))
        nth[order] = np.arange(events) - starts[who[order]]
        sums = [
            ArmSums(float(arm.sum()), np.cumsum(arm[who]), np.cumsum(arm[who]), np.cumsum(arm[who] * (2 * nth + 1)))
            for arm in (~treated, treated)
        ]
        found += int(judge(difference("Mean", *sums), "Mean").any())
    return found


def events_as_units(runs: int, judge: Judge, seed: int = 41) -> int:
    """Why events are no units: clicks of searches, each counted as if somebody else had searched."""
    found = 0
    for run in range(runs):
        rng = np.random.default_rng([seed, run])
        units = _ratio(rng, (1, 1_000))
        assert units.d is not None
        treated = np.repeat(rng.random(1_000) < 0.5, units.d[0].astype(int))
        rate = np.repeat(rng.beta(0.5, 9.5, 1_000), units.d[0].astype(int))
        clicked = (rng.random(len(rate)) < rate).astype(np.float64)
        both = difference("Proportion", running_sums(~treated, clicked), running_sums(treated, clicked))
        found += int(judge(both, "Proportion").any())
    return found
