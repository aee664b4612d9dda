"""k-means in one dimension: the few values that stand for all weights of a kernel. Plain functions."""

from typing import Literal, TypeAlias

import numpy as np

Start: TypeAlias = Literal["linear", "k-means++", "density"]
"""Deep Compression (arXiv:1510.00149, section 3.2) compares linear and density; k-means++ is Arthur and
Vassilvitskii's (2007)."""
MAX_ROUNDS = 100


def k_means(weights: np.ndarray, clusters: int, start: Start, seed: int = 0) -> np.ndarray:
    """Centroids, float32, ascending, at most ``clusters``, of weights float (n,): Lloyd's algorithm.

    On a line each cluster is an interval, so that a round is a search and a few sums.
    """
    numbers = np.sort(weights.astype(np.float64))
    distinct = np.unique(numbers)
    if len(distinct) <= clusters:
        return distinct.astype(np.float32)
    sums = np.concatenate([[0.0], np.cumsum(numbers)])
    centroids = _begin(numbers, distinct, clusters, start, seed)
    for _ in range(MAX_ROUNDS):
        bounds = np.searchsorted(numbers, (centroids[1:] + centroids[:-1]) / 2)
        edges = np.concatenate([[0], bounds, [len(numbers)]])
        sizes = np.diff(edges)
        # A cluster that is empty stays where it is.
        moved = np.where(sizes > 0, np.diff(sums[edges]) / np.maximum(sizes, 1), centroids)
        if np.array_equal(moved, centroids):
            break
        centroids = moved
    return np.unique(centroids.astype(np.float32))


def nearest(weights: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """Each weight's centroid, float32, in the shape of the weights; ``centroids`` are ascending."""
    bounds = (centroids[1:].astype(np.float64) + centroids[:-1]) / 2
    return centroids[np.searchsorted(bounds, weights)]


def share(kernel: np.ndarray, clusters: int, start: Start, *, keep_zeros: bool, seed: int = 0) -> np.ndarray:
    """The kernel with ``clusters`` distinct values; with ``keep_zeros``, one of them is the zero that zeros keep."""
    if not keep_zeros:
        return nearest(kernel, k_means(kernel.reshape(-1), clusters, start, seed))
    others = kernel[kernel != 0]
    shared = np.zeros_like(kernel)
    if len(others):
        centroids = k_means(others, max(1, clusters - 1), start, seed)
        # Zero means pruned; a cluster that falls on it exactly is moved by the least there is.
        centroids[centroids == 0] = np.finfo(np.float32).tiny
        shared[kernel != 0] = nearest(others, np.sort(centroids))
    return shared


def _begin(numbers: np.ndarray, distinct: np.ndarray, clusters: int, start: Start, seed: int) -> np.ndarray:
    match start:
        case "linear":
            return np.linspace(numbers[0], numbers[-1], clusters)
        case "density":
            return np.unique(np.quantile(numbers, (np.arange(clusters) + 0.5) / clusters))
        case "k-means++":
            random = np.random.default_rng(seed)
            chosen = [float(random.choice(numbers))]
            distances = (numbers - chosen[0]) ** 2
            while len(chosen) < clusters:
                chosen.append(float(random.choice(numbers, p=distances / distances.sum())))
                distances = np.minimum(distances, (numbers - chosen[-1]) ** 2)
            return np.sort(chosen)
