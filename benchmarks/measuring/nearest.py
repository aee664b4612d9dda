"""Exact answers over vectors that come in chunks."""

from collections.abc import Iterable

import numpy as np


class Nearest:
    """The k rows with the greatest dot products with each query, of all chunks offered."""

    def __init__(self, queries: np.ndarray, k: int) -> None:
        self._queries, self._k = queries, k
        self.rows = np.zeros((len(queries), 0), np.int64)
        self._scores = np.zeros((len(queries), 0), np.float32)

    def offer(self, start: int, chunk: np.ndarray) -> None:
        scores = np.concatenate([self._scores, self._queries @ chunk.T], axis=1)
        known = np.arange(start, start + len(chunk))
        rows = np.concatenate([self.rows, np.broadcast_to(known, (len(self.rows), len(chunk)))], axis=1)
        best = np.argpartition(-scores, min(self._k, scores.shape[1]) - 1, axis=1)[:, : self._k]
        self.rows = np.take_along_axis(rows, best, axis=1)
        self._scores = np.take_along_axis(scores, best, axis=1)


def recall(answers: Iterable[Iterable[int]], truth: np.ndarray) -> float:
    """The mean share of the true rows, int (queries, k), that the answers name."""
    found = [len(set(given) & set(true)) for given, true in zip(answers, truth.tolist(), strict=True)]
    return sum(found) / truth.size
