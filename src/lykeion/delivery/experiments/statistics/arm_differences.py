"""The difference of two arms and its variance, by kind of metric: from sums, at one look or at all."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from .arm_sums import ArmSums, Numbers

MetricKind: TypeAlias = Literal["Mean", "Proportion", "Ratio"]
MINIMUM_EVENTS: Mapping[MetricKind, int] = {"Proportion": 20, "Mean": 40, "Ratio": 40}
"""Fewer events in an arm are not compared: normal limits do not hold yet."""


@dataclass(frozen=True)
class ArmDifference:
    """Treatment minus control; ``variance`` is that of ``estimate``, ``n`` the units of both arms.

    Relative differences are shares of the control's value. ``events`` are those of the arm that has fewer.
    """

    estimate: Numbers
    variance: Numbers
    n: Numbers
    events: Numbers


def difference(
    kind: MetricKind, control: ArmSums, treated: ArmSums, *, covariate: bool = False, relative: bool = False
) -> ArmDifference:
    """NaN where an arm has no units, or one.

    A covariate is for means and proportions (CUPED; Deng, Xu, Kohavi, Walker, 2013).
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        theta = _theta(control, treated) if covariate and kind != "Ratio" else 0.0
        c, t = (_value(kind, each, theta) for each in (control, treated))
        before = _value(kind, control, 0.0)[0], _value(kind, treated, 0.0)[0]
        per_c, per_t = c[1] / control.n, t[1] / treated.n
        estimate, variance = t[0] - c[0], per_c + per_t
        if relative:
            estimate = estimate / before[0]
            variance = per_t / before[0] ** 2 + per_c * before[1] ** 2 / before[0] ** 4
    return ArmDifference(estimate, variance, control.n + treated.n, _fewest_events(kind, control, treated))


def arm_value(kind: MetricKind, arm: ArmSums) -> Numbers:
    """The mean, proportion or ratio of an arm, not adjusted."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return _value(kind, arm, 0.0)[0]


def _value(kind: MetricKind, arm: ArmSums, theta: Numbers) -> tuple[Numbers, Numbers]:
    """The value of an arm, and its variance times the units of the arm."""
    mean = arm.y / arm.n
    if kind == "Ratio":
        over = arm.d / arm.n
        ratio, with_over = mean / over, _covariance(arm.n, arm.yd, arm.y, arm.d)
        variance = _variance(arm.n, arm.yy, arm.y) - 2 * ratio * with_over
        return ratio, (variance + ratio**2 * _variance(arm.n, arm.dd, arm.d)) / over**2
    if kind == "Proportion" and np.all(theta == 0):
        return mean, mean * (1 - mean)
    shared = theta * _covariance(arm.n, arm.xy, arm.x, arm.y)
    spread = _variance(arm.n, arm.yy, arm.y) + theta**2 * _variance(arm.n, arm.xx, arm.x) - 2 * shared
    return mean - theta * arm.x / arm.n, spread


def _theta(control: ArmSums, treated: ArmSums) -> Numbers:
    """Of both arms together; 0 where the covariate does not vary."""
    both = control + treated
    spread = _variance(both.n, both.xx, both.x)
    return np.where(spread > 0, _covariance(both.n, both.xy, both.x, both.y) / spread, 0.0)


def _variance(n: Numbers, squares: Numbers, total: Numbers) -> Numbers:
    return _covariance(n, squares, total, total)


def _covariance(n: Numbers, products: Numbers, one: Numbers, other: Numbers) -> Numbers:
    return (products - one * other / n) / (n - 1)


def _fewest_events(kind: MetricKind, control: ArmSums, treated: ArmSums) -> Numbers:
    """Of a proportion, units without the event count alike: near 1 they are the rare ones."""
    fewest = np.minimum(control.events, treated.events)
    if kind != "Proportion":
        return fewest
    return np.minimum(fewest, np.minimum(control.n - control.events, treated.n - treated.events))
