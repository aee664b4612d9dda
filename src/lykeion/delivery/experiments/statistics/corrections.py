"""P-values of several comparisons, corrected for their number."""

from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np

Correction: TypeAlias = Literal["Holm", "BenjaminiHochberg", "None"]


def corrected(p_values: Sequence[float], correction: Correction) -> list[float]:
    """In order. Holm limits the chance of any false finding, Benjamini and Hochberg the share of false ones."""
    if correction == "None" or not p_values:
        return list(p_values)
    order = np.argsort(p_values, kind="stable")
    sorted_p, count = np.asarray(p_values, np.float64)[order], len(p_values)
    if correction == "Holm":
        adjusted = np.maximum.accumulate(sorted_p * np.arange(count, 0, -1))
    else:
        adjusted = np.minimum.accumulate((sorted_p * count / np.arange(1, count + 1))[::-1])[::-1]
    result = np.empty(count)
    result[order] = np.minimum(adjusted, 1.0)
    return [float(each) for each in result]
