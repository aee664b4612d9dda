"""The most likely classes, of a classifier's output: Triton's classification extension."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class ScoredClass:
    """``score`` is the output's own number: a logit, for the networks that are trained here. ``label`` may be ""."""

    score: np.floating
    index: int
    label: str

    def __str__(self) -> str:
        """As Triton writes it: ``score:index:label``."""
        return ":".join((str(self.score), str(self.index), *((self.label,) if self.label else ())))


def top_classes(scores: np.ndarray, count: int, labels: Sequence[str] = ()) -> list[list[ScoredClass]]:
    """For each row of float32 (n, classes) the highest scores, in falling order; of equals the first."""
    best = np.argsort(-scores, axis=1, kind="stable")[:, :count]
    return [
        [ScoredClass(row[index], index, labels[index] if labels else "") for index in map(int, places)]
        for row, places in zip(scores, best, strict=True)
    ]
