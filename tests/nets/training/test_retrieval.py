import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lykeion.nets.training.retrieval import retrieval
from lykeion.search.measures import hit_rate, map_at_r


@settings(max_examples=30)
@given(st.integers(0, 2**32), st.integers(10, 60), st.integers(2, 4))
def test_it_agrees_with_the_measures_of_search(seed: int, count: int, classes: int) -> None:
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes, count)
    embeddings = random.standard_normal((count, 5))
    askers = np.flatnonzero(np.bincount(labels)[labels] > 1)
    units = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    cosines = units @ units.T
    np.fill_diagonal(cosines, -np.inf)
    answers = np.argsort(-cosines[askers], axis=1)[:, : count - 1]
    grades = (labels[answers] == labels[askers, None]).astype(float)
    found = retrieval(embeddings, labels)
    assert found.recall_at_1 == pytest.approx(hit_rate(grades)[0])
    assert found.map_at_r == pytest.approx(map_at_r(grades, np.bincount(labels)[labels[askers]] - 1))


def test_classes_apart_are_found_wholly() -> None:
    labels = np.repeat(np.arange(3), 700)
    embeddings = np.eye(3)[labels] + np.random.default_rng(0).normal(0, 0.01, (2100, 3))
    found = retrieval(embeddings, labels)
    assert (found.recall_at_1, found.map_at_r) == (1.0, 1.0)
