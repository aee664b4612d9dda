"""What is known of the units of an arm: counts, sums and sums of products, from which every analysis follows.

Each field is one number, or an array with one number a look, so that all looks are computed at once.
"""

from dataclasses import dataclass, fields
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Numbers: TypeAlias = Any
"""A number, or an array of float64 with one number a look."""
Values: TypeAlias = NDArray[Any]


@dataclass(frozen=True)
class ArmSums:
    """``y`` is the metric of a unit, ``d`` the denominator of a ratio, ``x`` the covariate from before the exposure.

    ``size`` is the sum of the absolute values of ``y``.
    """

    n: Numbers = 0.0
    size: Numbers = 0.0
    y: Numbers = 0.0
    yy: Numbers = 0.0
    d: Numbers = 0.0
    dd: Numbers = 0.0
    yd: Numbers = 0.0
    x: Numbers = 0.0
    xx: Numbers = 0.0
    xy: Numbers = 0.0

    def __post_init__(self) -> None:
        for each in fields(self):
            object.__setattr__(self, each.name, np.asarray(getattr(self, each.name), np.float64))

    def __add__(self, other: "ArmSums") -> "ArmSums":
        return ArmSums(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))

    @property
    def events(self) -> Numbers:
        """The units with an event; of values, as many equal ones as weigh the same (Kish's effective number)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.nan_to_num(self.size**2 / self.yy, nan=0.0, posinf=0.0)

    def at(self, look: Any) -> "ArmSums":
        """One look of many, or some."""
        values = (getattr(self, each.name) for each in fields(self))
        return ArmSums(*(each[..., look] if each.ndim else each for each in values))


def running_sums(in_arm: Values, y: Values, d: Values | None = None, x: Values | None = None) -> ArmSums:
    """After each unit, in the order in which they are counted: along the last axis.

    ``in_arm`` says which units are the arm's; the arrays have one shape.
    """

    def running(values: Values) -> Values:
        return np.cumsum(np.where(in_arm, values, 0), axis=-1, dtype=np.float64)

    known: dict[str, Values] = {"n": in_arm, "size": np.abs(y), "y": y, "yy": y * y}
    if d is not None:
        known |= {"d": d, "dd": d * d, "yd": y * d}
    if x is not None:
        known |= {"x": x, "xx": x * x, "xy": x * y}
    return ArmSums(**{name: running(values) for name, values in known.items()})


def winsorised(values: Values, limit: float | None) -> Values:
    """No value beyond ``limit``, above or below 0, which is declared beforehand: one taken from the data would change
    counted units."""
    return values if limit is None else np.clip(values, -limit, limit)
