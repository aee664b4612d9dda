import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lykeion.compress.codebooks import Start, k_means, nearest, share

STARTS: list[Start] = ["linear", "k-means++", "density"]
WEIGHTS = np.random.default_rng(0).standard_normal(5000).astype(np.float32)


def error(weights: np.ndarray, centroids: np.ndarray) -> float:
    return float(((weights - nearest(weights, centroids)) ** 2).sum())


@pytest.mark.parametrize("start", STARTS)
def test_every_weight_has_its_nearest_centroid_and_every_centroid_is_a_mean(start: Start) -> None:
    centroids = k_means(WEIGHTS, 8, start)
    found = nearest(WEIGHTS, centroids)
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
@given(weights=st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=60), clusters=st.integers(1, 20))
def test_there_are_never_more_values_than_asked_for(weights: list[float], clusters: int, start: Start) -> None:
    kernel = np.array(weights, np.float32)
    centroids = k_means(kernel, clusters, start)
    assert 1 <= len(centroids) <= clusters
    assert (np.diff(centroids) > 0).all()
    assert len(np.unique(share(kernel, clusters, start, keep_zeros=False))) <= clusters


@given(weights=st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=60), clusters=st.integers(2, 8))
def test_zeros_stay_zeros_and_nothing_else_becomes_one(weights: list[float], clusters: int) -> None:
    kernel = np.array(weights, np.float32)
    shared = share(kernel, clusters, "linear", keep_zeros=True)
    assert np.array_equal(shared == 0, kernel == 0)
    assert len(np.unique(shared)) <= clusters


def test_k_means_plus_plus_is_repeatable() -> None:
    assert np.array_equal(k_means(WEIGHTS, 8, "k-means++", seed=3), k_means(WEIGHTS, 8, "k-means++", seed=3))
