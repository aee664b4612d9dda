"""fashion-mnist-784: raw pixels as vectors under squared Euclidean distance, with exact answers.

60,000 rows of 784 bytes and 10,000 queries, as in ann-benchmarks. For filters each row has its label and a
``bucket``, 0 to 999 at random, 60 rows each. Distances are whole numbers and computed as such, so an answer counts as
right when it is as near as the tenth true one, whatever its id.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np

from examples.fashion_mnist import load

K = 10

Filter: TypeAlias = dict
"""{"column": "bucket", "below": 500} or {"column": "label", "among": [1, 3]}."""

SCENARIOS: dict[str, Callable[[int], Filter]] = {
    "random 50 %": lambda label: {"column": "bucket", "below": 500},
    "random 10 %": lambda label: {"column": "bucket", "below": 100},
    "random 1 %": lambda label: {"column": "bucket", "below": 10},
    "random 0.1 %": lambda label: {"column": "bucket", "below": 1},
    "one other label, 10 %": lambda label: {"column": "label", "among": [(label + 5) % 10]},
    "five other labels, 50 %": lambda label: {
        "column": "label",
        "among": sorted((label + step) % 10 for step in (1, 3, 5, 7, 9)),
    },
}
"""From a query's label to the filter it is asked with."""


@dataclass(frozen=True)
class Fashion:
    """rows uint8 (n, 784), queries uint8 (m, 784); label and bucket are of rows, query_label of queries."""

    rows: np.ndarray
    label: np.ndarray
    bucket: np.ndarray
    queries: np.ndarray
    query_label: np.ndarray

    @classmethod
    def read(cls, rows: int = 60_000) -> "Fashion":
        train, labels = load("train")
        test, test_labels = load("test")
        images = train[:rows].reshape(-1, 784)
        buckets = np.random.default_rng(0).permutation(len(images)) * 1000 // len(images)
        return cls(images, labels[:rows].astype(int), buckets, test.reshape(-1, 784), test_labels.astype(int))

    def matching(self, filter: Filter | None) -> np.ndarray:
        """bool (n,): which rows match."""
        if filter is None:
            return np.ones(len(self.rows), bool)
        column: np.ndarray = getattr(self, filter["column"])
        return column < filter["below"] if "below" in filter else np.isin(column, filter["among"])

    def kth_distances(self, scenario: str | None, count: int) -> np.ndarray:
        """int64 (count,): how far the tenth nearest row that matches is from each of the first queries."""
        farthest = np.zeros(count, np.int64)
        for label in range(10) if scenario else (None,):
            filter = SCENARIOS[scenario](label) if scenario and label is not None else None
            asked = np.flatnonzero(self.query_label[:count] == label) if scenario else np.arange(count)
            for part in np.array_split(asked, len(asked) // 500 + 1):
                farthest[part] = self._kth_distances(part, np.flatnonzero(self.matching(filter)))
        return farthest

    def _kth_distances(self, asked: np.ndarray, matching: np.ndarray) -> np.ndarray:
        queries, rows = self.queries[asked].astype(np.float32), self.rows[matching].astype(np.float32)
        rough = np.einsum("ij,ij->i", rows, rows)[None] - 2 * queries @ rows.T  # float32: a few units off
        near = np.argpartition(rough, min(4 * K, rough.shape[1] - 1), axis=1)[:, : 4 * K]
        exact = [self.distances(query, matching[rows]) for query, rows in zip(asked, near, strict=True)]
        return np.sort(np.array(exact), axis=1)[:, min(K, len(matching)) - 1]

    def distances(self, query: int, rows: np.ndarray) -> np.ndarray:
        difference = self.rows[rows].astype(np.int64) - self.queries[query].astype(np.int64)
        return np.einsum("ij,ij->i", difference, difference)

    def recall(self, answers: list[list[int]], kth: np.ndarray, scenario: str | None) -> float:
        """The mean share of the K true answers that were given; those a filter excludes do not count."""
        found = 0
        for query, ids in enumerate(answers):
            rows = np.unique(np.array([id for id in ids if 0 <= id < len(self.rows)], np.int64))[:K]
            if scenario:
                rows = rows[self.matching(SCENARIOS[scenario](int(self.query_label[query])))[rows]]
            found += int((self.distances(query, rows) <= kth[query]).sum())
        return found / (K * len(answers))


def load_kth(fashion: Fashion, scenario: str | None, count: int, work: Path) -> np.ndarray:
    """``Fashion.kth_distances``, kept in the work directory."""
    name = "".join(letter for letter in scenario or "all" if letter.isalnum())
    path = work / "truth" / f"{len(fashion.rows)}-{count}-{name}.npy"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, fashion.kth_distances(scenario, count))
    return np.load(path)
