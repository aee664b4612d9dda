"""A timed pass of one network: warm up, then repeated runs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

Candidate: TypeAlias = Callable[[], Callable[[], object]]
"""Prepares a network; each call of the result runs the network once."""

_SAMPLE_S = 2e-5
"""Shorter runs are timed several at a time: reading the clock takes some 50 ns."""


@dataclass(frozen=True, slots=True)
class Plan:
    """At least ``passes``, and more, up to ``most``, until the two best agree within ``tolerance``.

    A pass runs a candidate for ``warm_up_s``, then for at least ``sample_s`` and ``least`` times; two passes start
    ``apart_s`` apart.
    """

    passes: int = 5
    most: int = 25
    tolerance: float = 0.03
    warm_up_s: float = 0.003
    sample_s: float = 0.015
    apart_s: float = 0.25
    least: int = 3


USUAL = Plan()


@dataclass(frozen=True, slots=True)
class Pass:
    """One candidate's pass: milliseconds per run, over ``runs`` runs."""

    minimum_ms: float
    median_ms: float
    p90_ms: float
    p99_ms: float
    runs: int


def run_pass(run: Callable[[], object], plan: Plan, clock: Callable[[], int]) -> Pass:
    """One pass: warm up, then time runs one by one, or several at a time if they are short."""
    fastest = min(_once(run, 1, clock) for _ in range(2))
    warm = clock() + plan.warm_up_s * 1e9
    while clock() < warm:
        fastest = min(fastest, _once(run, 1, clock))
    together = max(1, int(_SAMPLE_S * 1e9 / max(fastest, 1)))
    samples: list[float] = []
    end = clock() + plan.sample_s * 1e9
    while len(samples) < plan.least or clock() < end:
        samples.append(_once(run, together, clock) / together)
    median, p90, p99 = np.percentile(samples, (50, 90, 99)) / 1e6
    return Pass(min(samples) / 1e6, float(median), float(p90), float(p99), len(samples) * together)


def _once(run: Callable[[], object], together: int, clock: Callable[[], int]) -> int:
    """Total nanoseconds of ``together`` runs."""
    began = clock()
    for _ in range(together):
        run()
    return clock() - began
