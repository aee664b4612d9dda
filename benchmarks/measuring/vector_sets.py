"""What is searched in for docs/benchmarks/ann.md: sets of vectors with queries and exact answers.

Fashion-MNIST as raw pixels, as in ann-benchmarks, under squared Euclidean distance; the same photos by the default
embedder; clusters; and normal numbers without any structure, on which nothing that compresses or prunes helps. All
but the first have length 1, where the order by squared Euclidean distance is that by cosine. For filters each row has
a label, 0 to 9, and a ``bucket``, 0 to 999 at random.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np

from examples.fashion_mnist import load
from measuring.clustered import Clustered

K = 10
_QUERIES = 2_000
_TIE = 1 + 1e-6
"""Two distances of floats this close are one."""

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
class VectorSet:
    """rows (n, dimension), queries (m, dimension), uint8 or float32; label and bucket are of rows, query_label of
    queries. ``metric`` is what our index is made with; ``filtered``: whether it is also searched with filters.
    """

    about: str
    rows: np.ndarray
    label: np.ndarray
    bucket: np.ndarray
    queries: np.ndarray
    query_label: np.ndarray
    metric: str = "l2"
    filtered: bool = False

    @property
    def dimension(self) -> int:
        return self.rows.shape[1]

    def matching(self, filter: Filter | None) -> np.ndarray:
        """bool (n,): which rows match."""
        if filter is None:
            return np.ones(len(self.rows), bool)
        column: np.ndarray = getattr(self, filter["column"])
        return column < filter["below"] if "below" in filter else np.isin(column, filter["among"])

    def kth_distances(self, scenario: str | None, count: int) -> np.ndarray:
        """(count,): how far the tenth nearest row that matches is from each of the first queries."""
        farthest = np.zeros(count)
        for label in range(10) if scenario else (None,):
            filter = SCENARIOS[scenario](label) if scenario and label is not None else None
            asked = np.flatnonzero(self.query_label[:count] == label) if scenario else np.arange(count)
            for part in np.array_split(asked, len(asked) // 500 + 1):
                farthest[part] = self._kth_distances(part, np.flatnonzero(self.matching(filter)))
        return farthest

    def _kth_distances(self, asked: np.ndarray, matching: np.ndarray) -> np.ndarray:
        queries, rows = self.queries[asked].astype(np.float32), self.rows[matching].astype(np.float32)
        rough = np.einsum("ij,ij->i", rows, rows)[None] - 2 * queries @ rows.T  # float32: a little off
        near = np.argpartition(rough, min(4 * K, rough.shape[1] - 1), axis=1)[:, : 4 * K]
        exact = [self.distances(query, matching[rows]) for query, rows in zip(asked, near, strict=True)]
        return np.sort(np.array(exact), axis=1)[:, min(K, len(matching)) - 1]

    def distances(self, query: int, rows: np.ndarray) -> np.ndarray:
        """Squared; of bytes computed in whole numbers, so that equal ones are equal."""
        exact = np.int64 if self.rows.dtype == np.uint8 else np.float64
        difference = self.rows[rows].astype(exact) - self.queries[query].astype(exact)
        return np.einsum("ij,ij->i", difference, difference)

    def recall(self, answers: list[list[int]], kth: np.ndarray, scenario: str | None) -> float:
        """The mean share of the K true answers that were given: rows as near as the tenth true one, whatever their
        ids. Those a filter excludes do not count.
        """
        found = 0
        for query, ids in enumerate(answers):
            rows = np.unique(np.array([id for id in ids if 0 <= id < len(self.rows)], np.int64))[:K]
            if scenario:
                rows = rows[self.matching(SCENARIOS[scenario](int(self.query_label[query])))[rows]]
            found += int((self.distances(query, rows) <= kth[query] * _TIE).sum())
        return found / (K * len(answers))


def load_kth(data: VectorSet, scenario: str | None, count: int, work: Path) -> np.ndarray:
    """``VectorSet.kth_distances``, kept in the work directory."""
    name = "".join(letter for letter in scenario or "all" if letter.isalnum())
    path = work / "truth" / f"{len(data.rows)}-{name}.npy"
    if not path.exists() or len(np.load(path)) < count:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, data.kth_distances(scenario, count))
    return np.load(path)[:count]


def fashion(rows: int | None = None) -> VectorSet:
    """Raw pixels: 60,000 rows of 784 bytes and 10,000 queries."""
    train, labels = load("train")
    test, test_labels = load("test")
    images = train[:rows].reshape(-1, 784)
    return VectorSet(
        "raw pixels of Fashion-MNIST, squared Euclidean distance",
        images,
        labels[:rows].astype(int),
        _buckets(len(images)),
        test.reshape(-1, 784),
        test_labels.astype(int),
        filtered=True,
    )


def fashion_embeddings(rows: int | None = None, work: Path = Path("build/bench/query")) -> VectorSet:
    """All 70,000 photos of Fashion-MNIST by the default embedder; 2,000 of them at random are the queries."""
    from lykeion.search import Embedder
    from measuring.embeddings import embeddings

    vectors = embeddings(Embedder.load(), 70_000, work)
    order = np.random.default_rng(4).permutation(len(vectors))
    kept = np.sort(order[_QUERIES:])[:rows]
    return _unlabelled("Fashion-MNIST by the default embedder, cosine", vectors[kept], vectors[order[:_QUERIES]])


def clustered(rows: int | None = None) -> VectorSet:
    drawn = Clustered(rows or 200_000)
    vectors = np.concatenate([chunk for _, chunk in drawn.chunks()])
    return _unlabelled("clusters of 500 rows (measuring/clustered.py), cosine", vectors, drawn.queries(_QUERIES))


def normal(rows: int | None = None) -> VectorSet:
    """Independent normal numbers: the hardest there is."""
    random = np.random.default_rng(5)
    vectors = random.standard_normal(((rows or 100_000) + _QUERIES, 128), np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return _unlabelled("normal numbers without structure, cosine", vectors[:-_QUERIES], vectors[-_QUERIES:])


def _unlabelled(about: str, rows: np.ndarray, queries: np.ndarray) -> VectorSet:
    return VectorSet(
        about,
        rows,
        _buckets(len(rows)) % 10,
        _buckets(len(rows)),
        queries,
        np.arange(len(queries)) % 10,
        metric="cosine",
    )


def _buckets(rows: int) -> np.ndarray:
    return np.random.default_rng(0).permutation(rows) * 1000 // rows


VECTOR_SETS: dict[str, Callable[[int | None], VectorSet]] = {
    "fashion-mnist-784": fashion,
    "fashion-mnist-1280": fashion_embeddings,
    "clustered-256": clustered,
    "normal-128": normal,
}
