"""Learning a segment's codes: a projection, cells, 8- or 4-bit codes, and a neighbour graph.

The projection is PCA followed by a random rotation, which spreads the variance over all projected dimensions so that
one scale serves them all (as in RaBitQ, Gao & Long 2024). Cells are k-means over projected vectors; or over whole
ones, if the projection keeps too little of their variance to tell which are near. The graph is the lowest level of an
HNSW (Malkov & Yashunin 2016) that Faiss builds; the cells' medoids replace its upper levels. Rows with the same
vector, such as those of a placeholder photo, are adjacent and form one node: as separate nodes they would link only
each other, and trap a search that reaches them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np

from .byte_matrix import nearness
from .cells import cell_count, learn_cells, points_for
from .kernel import COPY, NO_LINK, SegmentCodes

Kind: TypeAlias = Literal["exact", "hnsw", "ivf"]

EXACT_ROWS = 2_000
"""Up to this many rows, comparing every stored vector is fast enough."""
NIBBLE_ROWS = 4_000_000
"""From this many rows on, codes of 64 bytes (4 bits per dimension), so that tens of millions fit in memory."""

_KEPT = 0.9
"""Share of the variance; if the projection keeps less, cells are those of whole vectors."""
_SAMPLE = 32_768
_SAMPLE_BYTES = 2 << 30
"""Of vectors to learn cells from, as float32."""
_FEWEST_POINTS = 8
"""Per cell."""
_CHUNK = 16_384
_LINKS = 16
_NORM_BYTES = 4


class Vectors(Protocol):
    """Vectors of shape (rows, dimension) that are read by slices and index arrays: an array or several."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype: ...

    def __getitem__(self, rows: Any, /) -> np.ndarray: ...

    def __len__(self) -> int: ...


def kind_for(rows: int) -> Kind:
    """The kind of kernel for a segment of this size."""
    return "exact" if rows <= EXACT_ROWS else "ivf"


@dataclass(frozen=True)
class Projection:
    """x -> matrix @ x - bias, to ``len(bias)`` dimensions: float16 (reduced, dimension), float32 (reduced).

    ``mean``: of the vectors, float32 (dimension,), whose projection is the bias.
    """

    matrix: np.ndarray
    bias: np.ndarray
    mean: np.ndarray

    def __call__(self, vectors: np.ndarray) -> np.ndarray:
        return _whole(vectors) @ self.matrix.astype(np.float32).T - self.bias

    def left_out(self, vectors: np.ndarray, projected: np.ndarray) -> np.ndarray:
        """float32 (rows,): the squared length of what the projection leaves out of each."""
        centred = _whole(vectors) - self.mean
        whole = np.einsum("ij,ij->i", centred, centred)
        return np.maximum(whole - np.einsum("ij,ij->i", projected, projected), 0)


@dataclass(frozen=True)
class Quantizer:
    """Projected values as unsigned integers of 8 or 4 bits: value = (integer - zero) * scale."""

    scale: float
    zero: float
    nibbles: bool
    stride: int

    def __call__(self, projected: np.ndarray, left_out: np.ndarray | float = 0.0) -> np.ndarray:
        """uint8 (rows, stride): the codes, each with its squared norm as the last four bytes, to which ``left_out``,
        float32 (rows,), is added."""
        values = projected * np.float32(1 / self.scale)
        values += np.float32(self.zero)
        np.rint(values, out=values)
        np.clip(values, 0, 15 if self.nibbles else 255, out=values)
        integers = values.astype(np.uint8)
        codes = np.zeros((len(projected), self.stride), np.uint8)
        low = self.stride - _NORM_BYTES
        codes[:, : min(low, integers.shape[1])] = integers[:, :low]
        if self.nibbles:
            high = integers[:, low:]
            codes[:, : high.shape[1]] |= high << 4
        values -= np.float32(self.zero)
        norms = np.einsum("ij,ij->i", values, values) * np.float32(self.scale**2) + np.asarray(left_out, np.float32)
        codes[:, low:] = norms[:, None].view(np.uint8)
        return codes


def learn(vectors: Vectors, kind: Kind, *, seed: int = 0) -> tuple[np.ndarray, SegmentCodes]:
    """The order of rows by cell, int64 (rows,), and the codes of the rows in that order.

    ``vectors`` is (rows, dimension), float16 or float32, and may be mapped from a file: it is read in chunks. Equal
    input gives equal codes on one machine.
    """
    rows, dimension = vectors.shape
    nibbles = rows >= NIBBLE_ROWS
    stride = 64 if nibbles else _stride(dimension)
    generator = np.random.default_rng(seed)
    picked = np.sort(generator.choice(rows, min(rows, _SAMPLE), replace=False))
    sample = vectors[picked].astype(np.float32)
    projection, kept = _learn_projection(sample, (stride - _NORM_BYTES) * (2 if nibbles else 1), generator)
    quantizer = _learn_quantizer(projection(sample[: _CHUNK // 2]), nibbles=nibbles, stride=stride)
    narrow = np.abs(sample).max() <= np.finfo(np.float16).max
    placed = _whole if kept < _KEPT and narrow else projection
    places = learn_cells(*_points(placed, sample, vectors, generator), generator)

    cells, codes = np.empty(rows, np.int32), np.empty((rows, stride), np.uint8)
    medoids = _Medoids(places.centroids)
    graph = _Graph(rows, len(projection.bias)) if kind == "hnsw" else None
    for start in range(0, rows, _CHUNK):
        chunk = slice(start, start + _CHUNK)
        given = _whole(vectors[chunk])
        projected = projection(given)
        points = projected if placed is projection else given
        cells[chunk] = places.nearest(points)
        codes[chunk] = quantizer(projected, projection.left_out(given, projected))
        medoids.offer(start, points, cells[chunk])
        if graph is not None:
            graph.take(start, projected)
    first = np.arange(rows) if graph is None else _first_of_same(vectors)
    cells = cells[first]
    order = np.lexsort((first, cells))
    cell_rows = np.searchsorted(cells[order], np.arange(len(places) + 1)).astype(np.int64)
    nodes = np.flatnonzero(first[order] == order)
    entries = medoids.entries(order, cell_rows)
    return order, SegmentCodes(
        codes=codes[order],
        projection=projection.matrix,
        bias=projection.bias,
        cells=nearness(places.centroids, places.halves),
        groups=nearness(places.groups, places.group_halves),
        group_cells=places.group_cells,
        whole=placed is not projection,
        cell_rows=cell_rows,
        entries=nodes[np.searchsorted(nodes, entries, side="right") - 1].astype(np.uint32),
        links=graph.build(order, nodes) if graph is not None else None,
        scale=quantizer.scale,
        zero=quantizer.zero,
        nibbles=nibbles,
        copies=rows - len(nodes),
    )


def _whole(vectors: np.ndarray) -> np.ndarray:
    return vectors.astype(np.float32, copy=False)


def _stride(dimension: int) -> int:
    """Bytes per code of 8-bit integers: whole cache lines, at most three (188 projected dimensions)."""
    return next((lines * 64 for lines in (1, 2) if lines * 64 - _NORM_BYTES >= dimension), 192)


def _learn_projection(sample: np.ndarray, room: int, generator: "np.random.Generator") -> tuple[Projection, float]:
    """A projection to at most ``room`` dimensions, and the share of the variance that it keeps."""
    reduced = min(room, sample.shape[1])
    mean = sample.mean(axis=0)
    centred = sample - mean
    variances, axes = np.linalg.eigh(centred.T @ centred)
    kept = float(variances[::-1][:reduced].sum() / max(variances.sum(), np.finfo(np.float32).tiny))
    rotation, _ = np.linalg.qr(generator.standard_normal((reduced, reduced)))
    matrix = np.ascontiguousarray((rotation @ axes[:, ::-1][:, :reduced].T).astype(np.float16))
    return Projection(matrix, (matrix.astype(np.float32) @ mean).astype(np.float32), mean), kept


def _learn_quantizer(projected: np.ndarray, *, nibbles: bool, stride: int) -> Quantizer:
    levels, zero, kept = (7.5, 7.5, 0.995) if nibbles else (127.0, 128.0, 0.9999)
    limit = float(np.quantile(np.abs(projected), kept))
    return Quantizer(max(limit, 1e-12) / levels, zero, nibbles, stride)


def _points(
    placed: Callable[[np.ndarray], np.ndarray], sample: np.ndarray, vectors: Vectors, generator: "np.random.Generator"
) -> tuple[np.ndarray, int]:
    """``placed`` vectors to learn cells from, and how many cells. If ``sample`` is too small, more rows are read."""
    rows, count = len(vectors), cell_count(len(vectors))
    wanted = min(rows, points_for(count), _SAMPLE_BYTES // placed(sample[:1]).nbytes)
    count = min(count, max(wanted // _FEWEST_POINTS, 4))
    if wanted <= len(sample):
        return placed(sample[generator.choice(len(sample), wanted, replace=False)]), count
    picked = np.sort(generator.choice(rows, wanted, replace=False))
    chunks = (picked[start : start + _CHUNK] for start in range(0, wanted, _CHUNK))
    return np.concatenate([placed(vectors[chunk]) for chunk in chunks]), count


def _first_of_same(vectors: Vectors) -> np.ndarray:
    """For each row the first one with the same vector, int64 (rows,)."""
    hashes = np.empty(len(vectors), np.uint64)
    for start in range(0, len(vectors), _CHUNK):
        chunk = vectors[start : start + _CHUNK]
        digests = b"".join(blake2b(vector.tobytes(), digest_size=8).digest() for vector in chunk)
        hashes[start : start + len(chunk)] = np.frombuffer(digests, np.uint64)
    _, places, which = np.unique(hashes, return_index=True, return_inverse=True)
    first = places[which]
    copies = np.flatnonzero(first != np.arange(len(first)))
    for start in range(0, len(copies), _CHUNK):
        rows = copies[start : start + _CHUNK]
        other = rows[(vectors[rows] != vectors[first[rows]]).any(axis=1)]  # only the hash is the same
        first[other] = other
    return first


class _Medoids:
    """The row nearest to each centroid, found chunk by chunk."""

    def __init__(self, centroids: np.ndarray) -> None:
        self._centroids = centroids
        self._distances = np.full(len(centroids), np.inf, np.float32)
        self._rows = np.full(len(centroids), -1, np.int64)

    def offer(self, start: int, projected: np.ndarray, cells: np.ndarray) -> None:
        difference = projected - self._centroids[cells]
        distances = np.einsum("ij,ij->i", difference, difference)
        by_distance = np.argsort(-distances, kind="stable")  # the nearest of each cell is written last
        nearest = np.full(len(self._rows), -1, np.int64)
        nearest[cells[by_distance]] = by_distance
        met = np.flatnonzero(nearest >= 0)
        nearer = met[distances[nearest[met]] < self._distances[met]]
        self._distances[nearer] = distances[nearest[nearer]]
        self._rows[nearer] = start + nearest[nearer]

    def entries(self, order: np.ndarray, cell_rows: np.ndarray) -> np.ndarray:
        """Positions of the medoids in this order of rows, uint32 (cells,); an empty cell has a row of the next."""
        position = np.empty(len(order), np.int64)
        position[order] = np.arange(len(order))
        empty = np.minimum(cell_rows[:-1], len(order) - 1)
        return np.where(self._rows >= 0, position[self._rows], empty).astype(np.uint32)


class _Graph:
    """Collects projected rows, then builds the neighbour graph of the distinct ones: uint32 (rows, 2 * _LINKS)."""

    def __init__(self, rows: int, reduced: int) -> None:
        self._projected = np.empty((rows, reduced), np.float32)

    def take(self, start: int, projected: np.ndarray) -> None:
        self._projected[start : start + len(projected)] = projected

    def build(self, order: np.ndarray, nodes: np.ndarray) -> np.ndarray:
        """The graph of the rows in this order; ``nodes`` are the first rows of each distinct vector."""
        import faiss

        index = faiss.IndexHNSWFlat(self._projected.shape[1], _LINKS)
        index.hnsw.efConstruction = 100
        index.add(self._projected[order[nodes]])
        offsets = faiss.vector_to_array(index.hnsw.offsets).astype(np.int64)  # pyright: ignore
        neighbours = faiss.vector_to_array(index.hnsw.neighbors)  # pyright: ignore
        numbers = neighbours[offsets[:-1, None] + np.arange(2 * _LINKS)]
        assert (numbers < len(nodes)).all()
        links = np.full((len(order), 2 * _LINKS), NO_LINK, np.uint32)
        links[:, 0] = COPY
        links[nodes] = np.where(numbers < 0, NO_LINK, nodes[numbers])
        return links
