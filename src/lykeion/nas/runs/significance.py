"""Tests whether one network is more accurate than another, from the photos each gets right: a paired bootstrap."""

from dataclasses import dataclass

import numpy as np

RESAMPLES = 10_000
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """The difference of two accuracies, first minus second, with a confidence interval."""

    mean: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        if self.low > 0:
            return "better"
        return "worse" if self.high < 0 else "no difference shown"


def compare_paired(first: np.ndarray, second: np.ndarray, *, seed: int = 0) -> PairedDifference:
    """Compare bool arrays (trainings, photos): whether a photo is correct in a training; row i of both has seed i.

    Trainings and photos are drawn with replacement, both pairwise, so that the interval holds for other seeds and for
    other photos of this kind (Owen, Eckles 2012, arXiv:1106.2125). Raises ValueError on different shapes.
    """
    if first.shape != second.shape or first.ndim != 2:
        raise ValueError(f"paired trainings have equal shapes (trainings, photos), not {first.shape}, {second.shape}")
    gain = first.astype(np.int8) - second.astype(np.int8)
    trainings, photos = gain.shape
    rng = np.random.default_rng(seed)
    values = np.arange(-trainings, trainings + 1)
    means = np.empty(RESAMPLES)
    for number in range(RESAMPLES):
        a_photo = gain[rng.integers(trainings, size=trainings)].sum(axis=0, dtype=np.int64)
        # Photos of equal gain are interchangeable: only the number drawn of each gain matters.
        shares = np.bincount(a_photo + trainings, minlength=len(values)) / photos
        means[number] = rng.multinomial(photos, shares) @ values / (trainings * photos)
    low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return PairedDifference(float(gain.mean()), float(low), float(high))
