"""Learning a segment's codes: a projection, cells, 8- or 4-bit codes, and a neighbour graph.

The projection is PCA followed by a random rotation, which spreads the variance over all projected dimensions so that
one scale serves them all (as in RaBitQ, Gao & Long 2024). Cells are k-means over projected vectors. The graph is the
lowest level of an HNSW (Malkov & Yashunin 2016) that Faiss builds; the cells' medoids take the place of its upper
levels.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np

from .kernel import NO_LINK, Codes

Kind: TypeAlias = Literal["exact", "hnsw", "ivf"]

EXACT_ROWS = 2_000
"""Up to this many rows, comparing every stored vector is quick enough."""
NIBBLE_ROWS = 4_000_000
"""From here on, codes of 64 bytes (4 bits a dimension), so that tens of millions of rows fit in memory."""

_SAMPLE = 65_536
_CHUNK = 16_384
_LINKS = 16
_NORM_BYTES = 4


class Vectors(Protocol):
    """Vectors of shape (rows, dimension) that are read by slices and index arrays: an array, or several in a row."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype: ...

    def __getitem__(self, rows: Any, /) -> np.ndarray: ...

    def __len__(self) -> int: ...


def kind_for(rows: int) -> Kind:
    """The kernel a segment gets by its size."""
    return "exact" if rows <= EXACT_ROWS else "ivf"


@dataclass(frozen=True)
class Projection:
    """x -> matrix @ x - bias, to ``len(bias)`` dimensions: float16 (reduced, dimension), float32 (reduced)."""

    matrix: np.ndarray
    bias: np.ndarray

    def __call__(self, vectors: np.ndarray) -> np.ndarray:
        return vectors.astype(np.float32) @ self.matrix.astype(np.float32).T - self.bias


@dataclass(frozen=True)
class Quantizer:
    """Projected values as unsigned integers of 8 or 4 bits: value = (integer - zero) * scale."""

    scale: float
    zero: float
    nibbles: bool
    stride: int

    def __call__(self, projected: np.ndarray) -> np.ndarray:
        """uint8 (rows, stride): the codes, each with its squared norm as the last four bytes."""
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
        norms = np.einsum("ij,ij->i", values, values) * np.float32(self.scale**2)
        codes[:, low:] = norms[:, None].view(np.uint8)
        return codes


def learn(vectors: Vectors, kind: Kind, *, seed: int = 0) -> tuple[np.ndarray, Codes]:
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
    projection = _learn_projection(sample, (stride - _NORM_BYTES) * (2 if nibbles else 1), generator)
    centroids = _learn_cells(projection, vectors, sample, generator)
    cells = _nearest_cells(projection, vectors, centroids)
    order = np.argsort(cells, kind="stable")
    cell_rows = np.searchsorted(cells[order], np.arange(len(centroids) + 1)).astype(np.int64)
    quantizer = _learn_quantizer(projection(sample), nibbles=nibbles, stride=stride)

    codes = np.empty((rows, stride), np.uint8)
    links = _Graph(rows, len(projection.bias)) if kind == "hnsw" else None
    medoids = _Medoids(centroids, cell_rows)
    for start, chunk in _chunks(vectors, order):
        projected = projection(chunk)
        codes[start : start + len(chunk)] = quantizer(projected)
        medoids.offer(start, projected, cells[order[start : start + len(chunk)]])
        if links is not None:
            links.take(start, projected)
    return order, Codes(
        codes=codes,
        centroids=quantizer(centroids),
        projection=projection.matrix,
        bias=projection.bias,
        cell_rows=cell_rows,
        entries=medoids.entries,
        links=links.build() if links is not None else None,
        scale=quantizer.scale,
        zero=quantizer.zero,
        nibbles=nibbles,
    )


def _stride(dimension: int) -> int:
    """Bytes a code of 8-bit integers takes: whole cache lines, at most three (188 projected dimensions)."""
    return next((lines * 64 for lines in (1, 2) if lines * 64 - _NORM_BYTES >= dimension), 192)


def _learn_projection(sample: np.ndarray, room: int, generator: np.random.Generator) -> Projection:
    reduced = min(room, sample.shape[1])
    mean = sample.mean(axis=0)
    centred = sample - mean
    _, axes = np.linalg.eigh(centred.T @ centred)
    rotation, _ = np.linalg.qr(generator.standard_normal((reduced, reduced)))
    matrix = np.ascontiguousarray((rotation @ axes[:, ::-1][:, :reduced].T).astype(np.float16))
    return Projection(matrix, (matrix.astype(np.float32) @ mean).astype(np.float32))


def _learn_quantizer(projected: np.ndarray, *, nibbles: bool, stride: int) -> Quantizer:
    levels, zero, kept = (7.5, 7.5, 0.995) if nibbles else (127.0, 128.0, 0.9999)
    limit = float(np.quantile(np.abs(projected[: _CHUNK // 2]), kept))
    return Quantizer(max(limit, 1e-12) / levels, zero, nibbles, stride)


def _learn_cells(
    projection: Projection, vectors: Vectors, sample: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """Centroids, float32 (cells, reduced): about the square root of the rows, a power of two."""
    import faiss

    rows = len(vectors)
    count = int(2 ** np.clip(np.round(np.log2(np.sqrt(rows))), 2, 13))
    needed = min(rows, count * 64)
    if needed > len(sample):
        sample = vectors[np.sort(generator.choice(rows, needed, replace=False))]
    projected = np.concatenate([projection(chunk) for _, chunk in _chunks(sample, np.arange(len(sample)))])
    means = faiss.Kmeans(
        projected.shape[1], count, niter=8, seed=1, max_points_per_centroid=64, min_points_per_centroid=1
    )
    means.train(projected)
    assert means.centroids is not None
    return means.centroids


def _nearest_cells(projection: Projection, vectors: Vectors, centroids: np.ndarray) -> np.ndarray:
    """The cell of each row, int32 (rows,)."""
    import faiss

    nearest = faiss.IndexFlatL2(centroids.shape[1])
    nearest.add(centroids)
    cells = np.empty(len(vectors), np.int32)
    for start in range(0, len(vectors), _CHUNK):
        chunk = projection(vectors[start : start + _CHUNK])
        cells[start : start + len(chunk)] = nearest.search(chunk, 1)[1][:, 0]
    return cells


def _chunks(vectors: Vectors, order: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    for start in range(0, len(order), _CHUNK):
        yield start, vectors[order[start : start + _CHUNK]]


class _Medoids:
    """The row nearest to each centroid, found chunk by chunk; an empty cell's is a row of the next."""

    def __init__(self, centroids: np.ndarray, cell_rows: np.ndarray) -> None:
        self._centroids = centroids
        self._distances = np.full(len(centroids), np.inf, np.float32)
        self.entries = np.minimum(cell_rows[:-1], cell_rows[-1] - 1).astype(np.uint32)

    def offer(self, start: int, projected: np.ndarray, cells: np.ndarray) -> None:
        difference = projected - self._centroids[cells]
        distances = np.einsum("ij,ij->i", difference, difference)
        by_distance = np.argsort(-distances, kind="stable")  # the nearest of each cell is written last
        nearest = np.full(len(self.entries), -1, np.int64)
        nearest[cells[by_distance]] = by_distance
        for cell in np.flatnonzero(nearest >= 0):
            if distances[nearest[cell]] < self._distances[cell]:
                self._distances[cell] = distances[nearest[cell]]
                self.entries[cell] = start + nearest[cell]


class _Graph:
    """Collects projected rows, then builds their neighbour graph: uint32 (rows, 2 * _LINKS)."""

    def __init__(self, rows: int, reduced: int) -> None:
        self._projected = np.empty((rows, reduced), np.float32)

    def take(self, start: int, projected: np.ndarray) -> None:
        self._projected[start : start + len(projected)] = projected

    def build(self) -> np.ndarray:
        import faiss

        index = faiss.IndexHNSWFlat(self._projected.shape[1], _LINKS)
        index.hnsw.efConstruction = 100
        index.add(self._projected)
        offsets = faiss.vector_to_array(index.hnsw.offsets).astype(np.int64)  # pyright: ignore
        neighbours = faiss.vector_to_array(index.hnsw.neighbors)  # pyright: ignore
        links = neighbours[offsets[:-1, None] + np.arange(2 * _LINKS)].astype(np.uint32)
        assert (links[links != NO_LINK] < len(links)).all()
        return links
