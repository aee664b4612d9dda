"""Vectors that are synthetic but clustered, as those of photos are; any chunk can be made again by itself."""

from collections.abc import Iterator

import numpy as np

DIMENSION = 256
PER_CENTRE = 500
DESCRIPTION = (
    f"{DIMENSION} dimensions: one centre for every {PER_CENTRE:,} rows (normal; equal shares), plus a normal vector "
    "in 64 random directions that all share (.45 times a centre long, spread as 1/√j), plus noise of .3 in each "
    "dimension; then of length 1"
)
_CHUNK = 65_536
_SHARED = 64


class Clustered:
    """``rows`` rows, the same for every run. Queries come from the same mixture and are not among the rows."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        random = np.random.default_rng(0)
        self._centres = random.standard_normal((max(rows // PER_CENTRE, 1), DIMENSION), np.float32)
        spread = 1 / np.sqrt(np.arange(1, _SHARED + 1, dtype=np.float32))[:, None]
        spread *= np.float32(0.45) / np.linalg.norm(spread)
        self._shared = random.standard_normal((_SHARED, DIMENSION), np.float32) * spread

    def chunks(self, first: int = 0, end: int | None = None) -> Iterator[tuple[int, np.ndarray]]:
        """(first row, float32 (rows, 256)); ``first`` is a multiple of a chunk's rows."""
        end = self.rows if end is None else end
        for start in range(first, end, _CHUNK):
            yield start, self._drawn(np.random.default_rng((1, start)), _CHUNK)[: end - start]

    def queries(self, count: int) -> np.ndarray:
        return self._drawn(np.random.default_rng(2), count)

    def _drawn(self, random: np.random.Generator, count: int) -> np.ndarray:
        vectors = self._centres[random.integers(0, len(self._centres), count)]
        vectors += random.standard_normal((count, _SHARED), np.float32) @ self._shared
        vectors += np.float32(0.3) * random.standard_normal((count, DIMENSION), np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
