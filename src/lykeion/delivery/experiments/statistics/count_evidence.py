"""Exact tests of counts that hold at every look: whether arms have the shares that were declared.

Lindon, Malek: Anytime-valid inference for multinomial count data (https://arxiv.org/abs/2011.03567). Of units, they
find assignments that went wrong (sample ratio mismatch). Of the units to which a rare event happened, they compare
the rates of the event: if the arms are alike, each of these units is in an arm with the arm's share, whatever the
rate is.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .arm_sums import Values

SRM_CONCENTRATION = 10_000.0
"""Of the alternatives around the declared shares: small deviations of many units."""
RATE_CONCENTRATION = 20.0
"""Rates that differ by half or more."""


def log_evidence(counts: Sequence[int], shares: Sequence[float], concentration: float) -> float:
    """Above log(1/p) with a probability of at most p, ever, if the shares are as declared."""
    found = _log_beta([concentration * each + n for each, n in zip(shares, counts, strict=True)])
    found -= _log_beta([concentration * each for each in shares])
    return found - sum(n * math.log(each) for each, n in zip(shares, counts, strict=True))


def log_evidence_path(arms: Values, shares: Sequence[float], concentration: float) -> Values:
    """After each unit, along the last axis; ``arms`` has each unit's arm as a number from 0."""
    given: Values = np.asarray(shares, np.float64)
    before: Values = np.zeros(arms.shape, np.float64)
    for arm in range(len(shares)):
        ours = arms == arm
        before += np.where(ours, np.cumsum(ours, axis=-1) - 1, 0)
    seen: Values = concentration + np.arange(arms.shape[-1], dtype=np.float64)
    likely: Any = (concentration * given[arms] + before) / seen / given[arms]
    return np.cumsum(np.log(likely), axis=-1)


def evidence_p(log: float) -> float:
    return min(1.0, math.exp(-max(log, -700.0)))


def rate_ratio(
    treated: int, control: int, share: float, alpha: float, concentration: float = RATE_CONCENTRATION
) -> tuple[float, float]:
    """A confidence sequence of the treatment's rate of a rare event over the control's.

    ``treated`` and ``control`` count the units to which it happened; ``share`` is the treatment's of all units.
    """
    prior = (concentration * share, concentration * (1 - share))
    constant = _log_beta([prior[0] + treated, prior[1] + control]) - _log_beta(prior)

    def refuted(theta: float) -> bool:
        return constant - treated * math.log(theta) - control * math.log1p(-theta) > -math.log(alpha)

    best = min(max(treated / max(1, treated + control), 1e-12), 1 - 1e-12)
    low = 0.0 if treated == 0 else _edge(1e-15, best, refuted)
    high = 1.0 if control == 0 else _edge(1 - 1e-15, best, refuted)
    odds = (1 - share) / share
    return low / (1 - low) * odds, high / (1 - high) * odds if high < 1 else math.inf


def _edge(outside: float, inside: float, refuted: Callable[[float], bool]) -> float:
    """Where it begins to be refuted, by bisection."""
    if not refuted(outside):
        return outside
    for _ in range(80):
        middle = (outside + inside) / 2
        outside, inside = (middle, inside) if refuted(middle) else (outside, middle)
    return outside


def _log_beta(parts: Sequence[float]) -> float:
    return sum(math.lgamma(each) for each in parts) - math.lgamma(sum(parts))
