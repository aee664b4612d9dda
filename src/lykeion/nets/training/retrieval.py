"""Retrieval quality of an embedding: each photo is a query for the others of its class."""

from dataclasses import dataclass

import numpy as np

_BLOCK = 512


@dataclass(frozen=True, slots=True)
class Retrieval:
    """``recall_at_1`` is the share of photos whose nearest other is of their class; ``map_at_r`` is MAP@R (Musgrave,
    Belongie, Lim, "A Metric Learning Reality Check", 2020, section 3.2), which looks at as many answers as there are
    others in the class. Photos alone in their class are not queries."""

    dimension: int
    recall_at_1: float
    map_at_r: float


def retrieval(embeddings: np.ndarray, labels: np.ndarray) -> Retrieval:
    """For embeddings float (n, dimension), by cosine, and labels int (n,); at least two photos share a class."""
    units = embeddings / np.maximum(np.linalg.norm(embeddings, axis=1, keepdims=True), 1e-12)
    others = np.bincount(labels)[labels] - 1
    askers = np.flatnonzero(others > 0)
    hits, precisions = 0.0, 0.0
    for part in np.array_split(askers, range(_BLOCK, len(askers), _BLOCK)):
        cosines = units[part] @ units.T
        cosines[np.arange(len(part)), part] = -np.inf
        depth = int(others[part].max())
        nearest = np.argpartition(-cosines, depth - 1, axis=1)[:, :depth]
        order = np.argsort(-np.take_along_axis(cosines, nearest, axis=1), axis=1, kind="stable")
        right = labels[np.take_along_axis(nearest, order, axis=1)] == labels[part, None]
        ranks = np.arange(1, depth + 1)
        counted = right & (ranks <= others[part, None])
        hits += right[:, 0].sum()
        precisions += ((np.cumsum(right, axis=1) / ranks * counted).sum(axis=1) / others[part]).sum()
    return Retrieval(embeddings.shape[1], float(hits / len(askers)), float(precisions / len(askers)))
