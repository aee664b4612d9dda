import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lykeion.compress.weights.codebooks import Codebook, Start, cheapest, k_means, share
from lykeion.litert.packed import cost_bits

STARTS: list[Start] = ["linear", "k-means++", "density"]
WEIGHTS = np.random.default_rng(0).standard_normal(5000).astype(np.float32)


def error(weights: np.ndarray, book: Codebook) -> float:
    return float(((weights - book.shared(weights)) ** 2).sum())


def bits(weights: np.ndarray, book: Codebook) -> float:
    return cost_bits(np.unique(book.shared(weights), return_counts=True)[1])


@pytest.mark.parametrize("start", STARTS)
def test_every_weight_has_its_nearest_centroid_and_every_centroid_is_a_mean(start: Start) -> None:
    book = k_means(WEIGHTS, 8, start)
    centroids, found = book.values, book.shared(WEIGHTS)
    assert len(centroids) == 8
    assert np.array_equal(np.abs(WEIGHTS - found), np.abs(WEIGHTS[:, None] - centroids).min(axis=1))
    means = np.array([WEIGHTS[found == centroid].mean() for centroid in centroids])
    # Rounds are limited; what is left to gain is next to nothing.
    np.testing.assert_allclose(means, centroids, atol=0.02)


@pytest.mark.parametrize("start", STARTS)
def test_more_values_fit_better(start: Start) -> None:
    errors = [error(WEIGHTS, k_means(WEIGHTS, clusters, start)) for clusters in (2, 4, 16, 64)]
    assert errors == sorted(errors, reverse=True)


@pytest.mark.parametrize("start", STARTS)
@given(
    weights=st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=60),
    clusters=st.integers(1, 20),
    bit_price=st.sampled_from([0, 0.5, 3]),
)
def test_there_are_never_more_values_than_asked_for(
    weights: list[float], clusters: int, start: Start, bit_price: float
) -> None:
    kernel = np.array(weights, np.float32)
    book = k_means(kernel, clusters, start, bit_price=bit_price)
    assert 1 <= len(book.values) <= clusters
    assert len(book.bounds) == len(book.values) - 1
    assert (np.diff(book.values) > 0).all()
    assert (np.diff(book.bounds) >= 0).all()
    assert len(np.unique(share(kernel, clusters, start, keep_zeros=False))) <= clusters


@given(
    values=st.lists(st.integers(-1000, 1000), min_size=1, max_size=20, unique=True),
    weights=st.lists(st.floats(-1100, 1100), min_size=1, max_size=30),
    data=st.data(),
)
def test_between_its_bounds_a_value_costs_least(values: list[int], weights: list[float], data: st.DataObject) -> None:
    ascending, numbers = np.sort(np.array(values, np.float64)), np.array(weights)
    prices = np.array([data.draw(st.floats(0, 1e5)) for _ in values])
    costs = (numbers[:, None] - ascending) ** 2 + prices
    chosen = np.searchsorted(cheapest(ascending, prices), numbers)
    np.testing.assert_allclose(costs[np.arange(len(numbers)), chosen], costs.min(axis=1), rtol=1e-9, atol=1e-6)


@given(weights=st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=60), clusters=st.integers(2, 8))
def test_zeros_stay_zeros_and_nothing_else_becomes_one(weights: list[float], clusters: int) -> None:
    kernel = np.array(weights, np.float32)
    shared = share(kernel, clusters, "linear", keep_zeros=True)
    assert np.array_equal(shared == 0, kernel == 0)
    assert len(np.unique(shared)) <= clusters


def test_a_weight_has_the_value_that_costs_least_with_its_bits() -> None:
    book = k_means(WEIGHTS, 16, "linear", bit_price=1)
    found = book.shared(WEIGHTS)
    shares = np.array([(found == value).mean() for value in book.values])
    price = 2 * np.log(2) * (np.ptp(WEIGHTS) / 15) ** 2 / 12
    costs = (WEIGHTS[:, None] - book.values) ** 2 - price * np.log2(shares)
    own = np.take_along_axis(costs, np.searchsorted(book.values, found)[:, None], axis=1)[:, 0]
    # Rounds are limited; what is left to gain is next to nothing.
    assert (own - costs.min(axis=1)).max() < 0.01 * price


def test_bits_that_cost_make_a_better_trade_than_fewer_values() -> None:
    few, priced = k_means(WEIGHTS, 8, "linear"), k_means(WEIGHTS, 16, "linear", bit_price=1.7)
    assert bits(WEIGHTS, priced) < bits(WEIGHTS, few)
    assert error(WEIGHTS, priced) < error(WEIGHTS, few)


def test_k_means_plus_plus_is_repeatable() -> None:
    one, other = (k_means(WEIGHTS, 8, "k-means++", seed=3) for _ in range(2))
    assert np.array_equal(one.values, other.values)


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("clusters", [2, 3, 4, 16])
@pytest.mark.parametrize("bit_price", [0.5, 10.0])
@given(seed=st.integers(0, 50))
def test_weights_that_differ_keep_two_values_at_least(
    start: Start, clusters: int, bit_price: float, seed: int
) -> None:
    """With one, a layer would tell nothing of its input."""
    random = np.random.default_rng(seed)
    kernel = (random.standard_t(3, 400) if seed % 2 else random.standard_normal(400)).astype(np.float32)
    shared = share(kernel, clusters, start, bit_price=bit_price, keep_zeros=False)
    assert 2 <= len(np.unique(shared)) <= clusters
    assert np.corrcoef(kernel, shared)[0, 1] > 0.3
