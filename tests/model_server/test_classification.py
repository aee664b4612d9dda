"""The most likely classes."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from lykeion.model_server.classification import top_classes


def test_the_highest_scores_come_first_as_triton_writes_them() -> None:
    (row,) = top_classes(np.array([[1.1, 3.3, 0.5, 2.4]], np.float32), 2)
    assert [str(each) for each in row] == ["3.3:1", "2.4:3"]
    (row,) = top_classes(np.array([[1, 5, 10, 4]], np.float32), 2, ("w", "pickle", "apple", "b:c"))
    assert [str(each) for each in row] == ["10.0:2:apple", "5.0:1:pickle"]


def test_more_classes_than_there_are_give_all() -> None:
    assert len(top_classes(np.zeros((2, 3), np.float32), 5)[1]) == 3


@given(nps.arrays(np.float32, (2, 6), elements=st.integers(-3, 3).map(float)), st.integers(1, 6))
def test_they_are_those_of_a_stable_sort(scores: np.ndarray, count: int) -> None:
    for row, found in zip(scores, top_classes(scores, count), strict=True):
        assert [each.index for each in found] == sorted(range(6), key=lambda n: (-row[n], n))[:count]
        assert [each.score for each in found] == [row[each.index] for each in found]
