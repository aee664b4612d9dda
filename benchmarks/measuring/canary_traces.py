"""Simulated traffic of a rollout: what both versions were asked and how they failed, interval by interval."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lykeion.platform.lookups import GroupCounts

INTERVAL_S = 10
REPLICAS = 10
SLOW_SHARE = 0.05
"""Of the stable version's requests; they are longer than the edge of the histogram that is compared."""
Course = Callable[[float], float]
"""A value over the seconds since the rollout began."""


@dataclass(frozen=True)
class Scenario:
    """``factor``: how many times as often the new version fails; ``slow``: is slow."""

    name: str
    harmful: bool = False
    requests_s: Course = lambda _: 50.0
    base: Course = lambda _: 0.005
    factor: Course = lambda _: 1.0
    slow: float = 1.0
    replica_bursts: bool = False
    """Once in two minutes a replica of either version fails in 30 % of its requests for 8 seconds."""
    restarts: bool = False
    """Once in three minutes the proxy restarts and counts from 0."""


@dataclass(frozen=True)
class Counters:
    """What a proxy has counted of one version, since it started for the ``started``-th time."""

    started: int = 0
    requests: int = 0
    failures: int = 0
    slow: int = 0

    def plus(self, requests: int, failures: int, slow: int) -> "Counters":
        return Counters(self.started, self.requests + requests, self.failures + failures, self.slow + slow)

    def group_counts(self) -> GroupCounts:
        return GroupCounts(
            str(self.started),
            self.requests,
            self.failures,
            0,
            {0.5: self.requests - self.slow, math.inf: self.requests},
        )


def drifting(low: float, high: float, period_s: float = 900) -> Course:
    """From low to high and back."""
    return lambda t: low + (high - low) * (1 - math.cos(2 * math.pi * t / period_s)) / 2


def in_bursts(usual: float, burst: float, every_s: float, for_s: float) -> Course:
    return lambda t: burst if t % every_s < for_s else usual


def after(start_s: float, value: float) -> Course:
    return lambda t: value if t >= start_s else 1.0


HARMLESS = (
    Scenario("steady"),
    Scenario("the rate of failure triples midway", base=lambda t: 0.005 if t < 450 else 0.015),
    Scenario("the rate of failure drifts, .1 to 3 %", base=drifting(0.001, 0.03)),
    Scenario("outages: 80 % fail for 25 s in 200", base=in_bursts(0.005, 0.8, 200, 25)),
    Scenario("bursts of traffic, 10 times for 30 s in 200", requests_s=in_bursts(20, 200, 200, 30)),
    Scenario("bursts of failures of one replica", replica_bursts=True),
    Scenario("the proxy restarts", restarts=True),
    Scenario("common failures, 20 %", base=lambda _: 0.2),
    Scenario("no failures", base=lambda _: 0.0),
    Scenario("little traffic, .5/s", requests_s=lambda _: 0.5),
)
HARMFUL = (
    Scenario("3 times the failures", True, factor=lambda _: 3),
    Scenario("3 times, while the rate drifts", True, base=drifting(0.003, 0.03), factor=lambda _: 3),
    Scenario("3 times, with outages", True, base=in_bursts(0.005, 0.8, 200, 25), factor=lambda _: 3),
    Scenario("3 times, with bursts of traffic", True, requests_s=in_bursts(20, 200, 200, 30), factor=lambda _: 3),
    Scenario("3 times, the proxy restarts", True, factor=lambda _: 3, restarts=True),
    Scenario("10 times the failures", True, factor=lambda _: 10),
    Scenario("every request fails", True, factor=lambda _: 200.0),
    Scenario("3 times as many slow requests", True, slow=3),
)
"""Found by the first step."""
LATE = (
    Scenario("2 times the failures", True, factor=lambda _: 2),
    Scenario("5 times, from the fifth minute on", True, factor=after(300, 5)),
    Scenario("3 times, little traffic, .5/s", True, requests_s=lambda _: 0.5, factor=lambda _: 3),
)
"""Harmful too, but less so, later or hardly seen."""


class Traffic:
    """The traffic of one rollout: ``counters`` are those of the new version and of the stable one."""

    def __init__(self, scenario: Scenario, rng: np.random.Generator) -> None:
        self._scenario, self._rng, self._t = scenario, rng, 0.0
        self.counters = (Counters(), Counters())

    def go_on(self, weight: int) -> None:
        """For one interval, in which ``weight`` percent of the requests are drawn for the new version."""
        scenario, rng = self._scenario, self._rng
        self._t += INTERVAL_S
        requests = int(rng.poisson(scenario.requests_s(self._t) * INTERVAL_S))
        own = int(rng.binomial(requests, weight / 100))
        new, stable = self.counters
        if scenario.restarts and rng.random() < INTERVAL_S / 180:
            new, stable = Counters(new.started + 1), Counters(new.started + 1)
        burst = scenario.replica_bursts and rng.random() < INTERVAL_S / 120
        in_new = rng.random() < weight / 100
        base, factor = scenario.base(self._t), scenario.factor(self._t)
        self.counters = (
            self._served(new, own, min(1.0, base * factor), scenario.slow, weight if burst and in_new else 0),
            self._served(stable, requests - own, base, 1.0, 100 - weight if burst and not in_new else 0),
        )

    def _served(self, side: Counters, requests: int, rate: float, slow: float, burst: int) -> Counters:
        """``burst`` is the weight of the version of which a replica fails, or 0."""
        rng = self._rng
        failures = int(rng.binomial(requests, rate))
        if burst:
            replicas = max(1, round(REPLICAS * burst / 100))
            failures += int(rng.binomial((requests - failures) // replicas, 0.3 * 8 / INTERVAL_S))
        return side.plus(requests, failures, int(rng.binomial(requests, SLOW_SHARE * slow)))
