"""Cells of nearby vectors, in groups: learning their centroids, and finding the nearest of many.

A few hundred centroids are those of k-means. More are learned by approximate k-means (Philbin et al. 2007): a vector
is compared with the centroids of the nearest groups alone. Groups are k-means over the centroids, all of about one
size, learned again each round.
"""

import math
from collections.abc import Iterator

import numpy as np

from .byte_matrix import TOGETHER

ONE_GROUP = 1_024
"""Up to this many cells are in one group: all are compared."""
_IN_GROUP = TOGETHER
"""Cells of a larger number in one group, at most. The centroid of many cells is short and says little of where each
lies; and beside those of few it is near to everything, so that without a limit such groups grow."""
_ROOM = 1.1
"""So many times the groups that could hold all cells, since the last to be assigned find the near ones full."""
_POINTS, _POINTS_IN_GROUPS = 64, 32
"""Vectors per cell to learn from."""
_ROWS_PER_CELL = 400
_ROUNDS, _GROUP_ROUNDS = 5, 3
_REACH, _LEAST_REACH = 1 / 40, 32
"""Share of the groups that a vector is compared with, and how many at least."""
_CHOICES = 32
"""Groups that a cell may be assigned to by nearness."""
_CHUNK = 16_384


def points_for(cells: int) -> int:
    """How many vectors are enough to learn so many cells."""
    return cells * (_POINTS if cells <= ONE_GROUP else _POINTS_IN_GROUPS)


def cell_count(rows: int) -> int:
    """How many cells so many rows have: two for each of the square root, but no cell of many more than 400 rows."""
    about = max(2 * np.sqrt(rows), rows / _ROWS_PER_CELL)
    return int(2 ** np.clip(np.round(np.log2(about)), 2, None)) if about < 2 * ONE_GROUP else int(about)


class Cells:
    """Centroids in the order of their groups.

    centroids: float32 (cells, d). halves: float32 (cells,), half their squared lengths. groups, group_halves: those
    of the groups. group_cells: int64 (groups + 1), cells group_cells[g] up to group_cells[g + 1] are in group g. They
    are a multiple of TOGETHER, filled up by cells of infinite ``halves``, which hold no vector.
    """

    def __init__(self, centroids: np.ndarray, groups: np.ndarray, group_of: np.ndarray) -> None:
        """``group_of``: int64 (cells,)."""
        order = np.argsort(group_of, kind="stable")
        self._sizes = np.bincount(group_of, minlength=len(groups))
        filled = -(-self._sizes // TOGETHER) * TOGETHER
        self.group_cells = np.concatenate([[0], np.cumsum(filled)]).astype(np.int64)
        within = np.arange(len(order)) - np.repeat(np.cumsum(self._sizes) - self._sizes, self._sizes)
        places = self.group_cells[group_of[order]] + within
        self.centroids = np.zeros((self.group_cells[-1], centroids.shape[1]), np.float32)
        self.centroids[places] = centroids[order]
        self.halves = np.full(len(self.centroids), np.inf, np.float32)
        self.halves[places] = _halves(centroids[order])
        self.groups, self.group_halves = groups, _halves(groups)
        self._reach = min(max(round(len(groups) * _REACH), _LEAST_REACH), len(groups))

    def __len__(self) -> int:
        return len(self.centroids)

    def nearest(self, vectors: np.ndarray) -> np.ndarray:
        """The nearest cell of each vector, int64 (rows,), among those of the nearest groups."""
        cells, distances = np.zeros(len(vectors), np.int64), np.full(len(vectors), np.inf, np.float32)
        for group, rows in self._near(vectors):
            first, size = self.group_cells[group], self._sizes[group]
            distance, which = _nearest(vectors[rows], self.centroids[first : first + size])
            nearer = distance < distances[rows]
            cells[rows[nearer]], distances[rows[nearer]] = first + which[nearer], distance[nearer]
        return cells

    def _near(self, vectors: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """Each group, with those of the vectors that are compared with its cells."""
        near = np.maximum(_nearest(vectors, self.groups, self._reach)[1], 0)  # -1: no distance is finite
        order = np.argsort(near.astype(np.uint16).ravel(), kind="stable")
        ends = np.cumsum(np.bincount(near.ravel(), minlength=len(self.groups)))
        for group, rows in enumerate(np.split(order // self._reach, ends[:-1])):
            if len(rows) and self._sizes[group]:
                yield group, rows


def learn_cells(points: np.ndarray, count: int, generator: "np.random.Generator") -> Cells:
    """So many cells of such vectors: ``points``, float32 (n, d), n at least ``count``."""
    if count <= ONE_GROUP:
        return Cells(_k_means(points, count, rounds=8), points[:1], np.zeros(count, np.int64))
    cells = _in_groups(points[generator.choice(len(points), count, replace=False)], generator)
    for _ in range(_ROUNDS):
        cells = _in_groups(_means(cells, points, generator), generator)
    return cells


def _in_groups(centroids: np.ndarray, generator: "np.random.Generator") -> Cells:
    count = math.ceil(_ROOM * len(centroids) / _IN_GROUP)
    groups = centroids[generator.choice(len(centroids), count, replace=False)]
    group_of = _assign(centroids, groups)
    for _ in range(_GROUP_ROUNDS):
        sizes = np.bincount(group_of, minlength=count)
        sums = np.zeros_like(groups)
        np.add.at(sums, group_of, centroids)
        groups = np.where(sizes[:, None] > 0, sums / np.maximum(sizes, 1)[:, None].astype(np.float32), groups)
        group_of = _assign(centroids, groups)
    return Cells(centroids, groups, group_of)


def _assign(centroids: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """A near group for each centroid, int64 (n,): the nearest pairs first, and no group gets more than _IN_GROUP."""
    distances, near = _nearest(centroids, groups, min(_CHOICES, len(groups)))
    group_of, room = np.full(len(centroids), -1, np.int64), np.full(len(groups), _IN_GROUP)
    pairs = np.argsort(distances, axis=None)
    for centroid, group in zip((pairs // near.shape[1]).tolist(), near.ravel()[pairs].tolist(), strict=True):
        if group_of[centroid] < 0 and room[group]:
            group_of[centroid] = group
            room[group] -= 1
    left = np.flatnonzero(group_of < 0)
    group_of[left] = np.repeat(np.arange(len(groups)), room)[: len(left)]
    return group_of


def _means(cells: Cells, points: np.ndarray, generator: "np.random.Generator") -> np.ndarray:
    """The mean of each cell's points; a cell without points gets one at random."""
    sums, sizes = np.zeros_like(cells.centroids), np.zeros(len(cells), np.int64)
    for chunk in _chunks(points):
        nearest = cells.nearest(chunk)
        order = np.argsort(nearest, kind="stable")
        met, first = np.unique(nearest[order], return_index=True)
        sums[met] += np.add.reduceat(chunk[order], first)
        sizes += np.bincount(nearest, minlength=len(cells))
    empty = np.flatnonzero((sizes == 0) & np.isfinite(cells.halves))
    sums[empty], sizes[empty] = points[generator.choice(len(points), len(empty), replace=False)], 1
    return sums[sizes > 0] / sizes[sizes > 0, None].astype(np.float32)


def _k_means(points: np.ndarray, count: int, *, rounds: int) -> np.ndarray:
    import faiss

    means = faiss.Kmeans(
        points.shape[1], count, niter=rounds, seed=1, max_points_per_centroid=_POINTS, min_points_per_centroid=1
    )
    means.train(points)
    assert means.centroids is not None
    return means.centroids


def _nearest(vectors: np.ndarray, centroids: np.ndarray, count: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Squared distances, float32, and numbers, int64, of so many centroids: (rows, count), or (rows,) of one."""
    import faiss

    distances, numbers = faiss.knn(vectors, centroids, count)
    return (distances[:, 0], numbers[:, 0]) if count == 1 else (distances, numbers)


def _halves(centroids: np.ndarray) -> np.ndarray:
    return np.einsum("ij,ij->i", centroids, centroids) / 2


def _chunks(vectors: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(vectors), _CHUNK):
        yield vectors[start : start + _CHUNK]
