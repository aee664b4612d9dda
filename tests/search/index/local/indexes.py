"""Local indexes for tests: opened with the type they have, and filled with vectors that come in clusters."""

from pathlib import Path
from typing import Any

import numpy as np

from lykeion.search.index import LocalIndex, Mode, open_index


def open_local(path: Path, mode: Mode = "w", **options: Any) -> LocalIndex:
    index = open_index(path, mode, **options)
    assert isinstance(index, LocalIndex)
    return index


def clustered(rows: int, dimension: int, *, clusters: int = 10, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """float32 (rows, dimension), and each row's cluster. Clusters vary in a few directions, as photos do."""
    generator = np.random.default_rng(seed)
    label = generator.integers(clusters, size=rows)
    centres = generator.normal(size=(clusters, dimension)) * 2
    spread = generator.normal(size=(clusters, min(16, dimension), dimension)) / np.sqrt(min(16, dimension))
    inner = generator.normal(size=(rows, min(16, dimension)))
    vectors = centres[label] + np.einsum("rk,rkd->rd", inner, spread[label])
    vectors += generator.normal(size=(rows, dimension)) * 0.1
    return vectors.astype(np.float32), label


def exact(
    vectors: np.ndarray, query: np.ndarray, k: int, *, metric: str = "cosine", among: np.ndarray | None = None
) -> list[int]:
    """The k nearest rows, best first; ``among`` is a bool mask of the rows that may be."""
    if metric == "cosine":
        distances = -(vectors @ query) / np.linalg.norm(vectors, axis=1)
    else:
        distances = ((vectors - query) ** 2).sum(axis=1)
    if among is not None:
        distances = np.where(among, distances, np.inf)
    count = len(vectors) if among is None else int(among.sum())
    return np.argsort(distances, kind="stable")[: min(k, count)].tolist()
