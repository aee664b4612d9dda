"""k-means in one dimension: the few values that represent all weights of a kernel. Plain functions."""

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

Start: TypeAlias = Literal["linear", "k-means++", "density"]
"""Deep Compression (arXiv:1510.00149, section 3.2) compares linear and density; k-means++ is Arthur and
Vassilvitskii's (2007)."""
MAX_ROUNDS = 100


@dataclass(frozen=True, slots=True, eq=False)
class Codebook:
    """Values, float32, ascending, and the bounds between adjacent values, float64."""

    values: np.ndarray
    bounds: np.ndarray

    def shared(self, weights: np.ndarray) -> np.ndarray:
        """The value that represents each weight, in the shape of the weights."""
        return self.values[np.searchsorted(self.bounds, weights)]


@dataclass(frozen=True, slots=True, eq=False)
class Moving:
    """How the weights of a clustered kernel may change their value in training: ``kernel``, the weights before
    clustering, are trained too, and take the value of the least cost by squared distance and ``prices``, float32, one
    for each value except the zero of a sparse kernel, in ascending order of the values."""

    kernel: np.ndarray
    prices: np.ndarray


def k_means(weights: np.ndarray, clusters: int, start: Start, *, bit_price: float = 0, seed: int = 0) -> Codebook:
    """At most ``clusters`` values for weights float (n,): Lloyd's algorithm.

    With ``bit_price`` it is entropy-constrained (Chou, Lookabaugh and Gray, 1989; for networks arXiv:1612.01543): a
    weight costs its squared error and the bits of its value, −log₂ of that value's frequency. At 1 a bit is worth
    what it is to a fine uniform quantizer with as many values, 2 ln 2 · step² / 12 (Gish and Pierce, 1968). The last
    bit, which is all that two values encode, has no price, and no codebook fits worse than two values do.

    In one dimension each cluster is an interval, so an iteration is a search and a few sums.
    """
    numbers = np.sort(weights.astype(np.float64))
    distinct = np.unique(numbers)
    if len(distinct) <= clusters:
        return Codebook(distinct.astype(np.float32), (distinct[1:] + distinct[:-1]) / 2)
    sums = np.concatenate([[0.0], np.cumsum(numbers)])
    centroids = _begin(numbers, distinct, clusters, start, seed)
    price = bit_price * bit_worth(numbers, clusters)
    bounds = (centroids[1:] + centroids[:-1]) / 2
    for _ in range(MAX_ROUNDS):
        before = centroids
        edges = np.concatenate([[0], np.searchsorted(numbers, bounds), [len(numbers)]])
        sizes = np.diff(edges)
        means = np.diff(sums[edges]) / np.maximum(sizes, 1)
        if price:
            used = sizes > 0
            centroids = means[used]
            bounds = cheapest(centroids, price * np.log2(len(numbers) / sizes[used]))
        else:  # An empty cluster stays where it is.
            centroids = np.where(sizes > 0, means, centroids)
            bounds = (centroids[1:] + centroids[:-1]) / 2
        if np.array_equal(centroids, before):
            break
    values, first = np.unique(centroids.astype(np.float32), return_index=True)
    book = Codebook(values, bounds[first[1:] - 1])
    if price:  # with a high price, all or almost all weights may get the same value
        two = k_means(weights, 2, "density")
        return two if _error(numbers, two) < _error(numbers, book) else book
    return book


def _error(numbers: np.ndarray, book: Codebook) -> float:
    return float(((numbers - book.shared(numbers)) ** 2).sum())


def bit_worth(numbers: np.ndarray, clusters: int) -> float:
    """Squared error that one more bit per number saves in a fine uniform quantizer with as many values; 0 for two
    values.

    A coarse quantizer, or one for a few outliers, saves less than that formula gives: the result is limited to that
    for an error of a tenth of the numbers' variance.
    """
    if clusters <= 2:
        return 0.0
    step_squared = (np.ptp(numbers) / (clusters - 1)) ** 2
    return float(2 * np.log(2) * min(step_squared / 12, np.var(numbers) / 10))


def cheapest(values: Any, prices: Any, xp: Any = np) -> Any:
    """The bounds (n - 1,) between which each of ascending ``values`` (n,) costs least, by squared distance and price.

    A value that costs least nowhere has an empty interval. ``xp`` is the array module: NumPy, or keras.ops. Without
    their common term x², the costs at x are lines: the result is their lower envelope.
    """
    places = xp.arange(values.shape[0])
    later = places[:, None] < places
    distance = xp.maximum(values - values[:, None], np.finfo(np.float32).tiny)
    crossing = (values + values[:, None]) / 2 + (prices - prices[:, None]) / (2 * distance)
    first = xp.max(xp.where(later, crossing, -np.inf), axis=0)
    last = xp.min(xp.where(later, crossing, np.inf), axis=1)
    ends = xp.where(first < last, last, -np.inf)
    return xp.max(xp.where(later, ends[:, None], -np.inf), axis=0)[1:]


def share(
    kernel: np.ndarray, clusters: int, start: Start, *, keep_zeros: bool, bit_price: float = 0, seed: int = 0
) -> np.ndarray:
    """The kernel with ``clusters`` distinct values; with ``keep_zeros``, zeros stay zero, which is one of them."""
    if not keep_zeros:
        return k_means(kernel.reshape(-1), clusters, start, bit_price=bit_price, seed=seed).shared(kernel)
    others = kernel[kernel != 0]
    shared = np.zeros_like(kernel)
    if len(others):
        book = k_means(others, max(1, clusters - 1), start, bit_price=bit_price, seed=seed)
        # Zero means pruned; a cluster at exactly zero is moved by the smallest normal float32.
        book.values[book.values == 0] = np.finfo(np.float32).tiny
        shared[kernel != 0] = book.shared(others)
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
