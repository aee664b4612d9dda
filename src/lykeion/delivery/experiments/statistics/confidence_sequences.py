"""Intervals and p-values of a difference that hold at every look, however often it is looked at.

Asymptotic confidence sequences: Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas: Time-uniform central limit theory and
asymptotic confidence sequences (https://arxiv.org/abs/2103.06476), in the form of GrowthBook: equations 9, 155 and
161, with the units of both arms as time. Each unit has to enter once, with its final value: with units whose values
still grow, time would stand still while evidence is collected.
"""

import math
from statistics import NormalDist

import numpy as np

from lykeion.core import Invalid

from .arm_differences import ArmDifference
from .arm_sums import Numbers

TUNING = 5000.0
"""The number of units at which intervals are narrowest, by default."""
MAX_PLANNED = 1e12


class TooManyUnits(Invalid):
    """A change so small that nobody has the units to see it."""


def half_width(found: ArmDifference, alpha: float, tuning: float = TUNING) -> Numbers:
    """The interval is the estimate plus and minus this; NaN where an arm is empty."""
    with np.errstate(invalid="ignore"):
        return np.sqrt(found.variance) * critical_value(found.n, alpha, tuning)


def critical_value(n: Numbers, alpha: float, tuning: float = TUNING) -> Numbers:
    """By how many standard errors a difference has to be off 0, after ``n`` units."""
    grown = n * _rho_squared(alpha, tuning)
    with np.errstate(divide="ignore"):
        return np.sqrt(2 * (grown + 1) * np.log(np.sqrt(grown + 1) / alpha) / grown)


def p_value(found: ArmDifference, alpha: float, tuning: float = TUNING) -> Numbers:
    """At most ``alpha`` where the interval leaves 0 out; 1 where nothing can be said."""
    grown = found.n * _rho_squared(alpha, tuning) + 1
    with np.errstate(divide="ignore", invalid="ignore"):
        squared = np.where(found.variance > 0, found.estimate**2 / found.variance, 0.0)
        log_evidence = (grown - 1) * squared / (2 * grown) - np.log(grown) / 2
    return np.minimum(1.0, np.exp(-np.maximum(log_evidence, -700.0)))


def is_different(found: ArmDifference, alpha: float, minimum_events: int, tuning: float = TUNING) -> Numbers:
    """Whether the interval leaves 0 out, and both arms have the events to say so."""
    with np.errstate(invalid="ignore"):
        off = np.abs(found.estimate) > half_width(found, alpha, tuning)
    return off & (found.events >= minimum_events) & (found.variance > 0)


def planned_units(
    effect: float,
    spreads: tuple[float, float],
    shares: tuple[float, float],
    alpha: float,
    power: float,
    tuning: float,
) -> tuple[int, int]:
    """Units of both arms for ``power``: with one look at the end, and looked at always. Raises TooManyUnits.

    ``spreads`` are the variances of a unit in control and treatment, ``shares`` the arms' shares of the units.
    """
    per_unit = sum(spread / share for spread, share in zip(spreads, shares, strict=True))
    beta = NormalDist().inv_cdf(power)
    needed = per_unit * (NormalDist().inv_cdf(1 - alpha / 2) + beta) ** 2
    if needed >= MAX_PLANNED * effect**2:
        raise TooManyUnits(f"a change of {effect:g} takes more than {MAX_PLANNED:.0e} units; plan for a larger one")
    fixed = needed / effect**2
    low, high = 1.0, 2.0
    while not _sees(high, effect, per_unit, alpha, beta, tuning):
        low, high = high, 2 * high
    while high - low > 0.5:
        middle = (low + high) / 2
        low, high = (low, middle) if _sees(middle, effect, per_unit, alpha, beta, tuning) else (middle, high)
    return math.ceil(fixed), math.ceil(high)


def smallest_effect(
    units: float, spreads: tuple[float, float], shares: tuple[float, float], alpha: float, power: float, tuning: float
) -> float:
    """That is seen with ``power`` at a look after so many units of both arms."""
    per_unit = sum(spread / share for spread, share in zip(spreads, shares, strict=True))
    critical = float(critical_value(units, alpha, tuning)) + NormalDist().inv_cdf(power)
    return critical * math.sqrt(per_unit / units)


def _sees(n: float, effect: float, per_unit: float, alpha: float, beta: float, tuning: float) -> bool:
    return effect >= (float(critical_value(n, alpha, tuning)) + beta) * math.sqrt(per_unit / n)


def _rho_squared(alpha: float, tuning: float) -> float:
    return (-2 * math.log(alpha) + math.log(-2 * math.log(alpha) + 1)) / tuning
