"""Every expected value is worked out by hand beside it."""

from math import log2

import numpy as np
import pytest

from lykeion.search import measures

# Query 1 has 3 relevant products and finds two of them, at ranks 1 and 3; query 2 has 1 and finds it at rank 2.
GRADES = np.array([[1, 0, 1, 0], [0, 1, 0, 0]], dtype=float)
RELEVANT = np.array([3, 1])


def test_recall_is_the_share_of_the_relevant_that_were_found() -> None:
    expected = [(1 / 3 + 0) / 2, (1 / 3 + 1) / 2, (2 / 3 + 1) / 2, (2 / 3 + 1) / 2]
    assert measures.recall(GRADES, RELEVANT) == pytest.approx(expected)


def test_precision_is_the_share_of_the_answers_that_are_relevant() -> None:
    expected = [(1 + 0) / 2, (1 / 2 + 1 / 2) / 2, (2 / 3 + 1 / 3) / 2, (2 / 4 + 1 / 4) / 2]
    assert measures.precision(GRADES) == pytest.approx(expected)


def test_hit_rate_counts_queries_with_any_relevant_answer() -> None:
    assert measures.hit_rate(GRADES).tolist() == [0.5, 1, 1, 1]


def test_ndcg_discounts_by_rank_and_weighs_by_grade() -> None:
    # Graded 3, 2 in the ideal order; found as 2, nothing, 3. Gains 2**g - 1 are 7 and 3.
    found, ideal = np.array([[2.0, 0, 3]]), np.array([[3.0, 2, 0]])
    best = [7, 7 + 3 / log2(3), 7 + 3 / log2(3)]
    got = [3, 3, 3 + 7 / log2(4)]
    assert measures.ndcg(found, ideal) == pytest.approx([g / b for g, b in zip(got, best, strict=True)])


def test_map_at_r_gives_the_values_of_the_paper() -> None:
    # The retrieval examples of Musgrave et al. 2020, where R = 10: .12, .20 and 1.
    def at_ranks(*ranks: int) -> float:
        grades = np.zeros((1, 10))
        grades[0, [rank - 1 for rank in ranks]] = 1
        return measures.map_at_r(grades, np.array([10]))

    assert at_ranks(1, 10) == pytest.approx((1 + 2 / 10) / 10)
    assert at_ranks(1, 2) == pytest.approx((1 + 1) / 10)
    assert at_ranks(*range(1, 11)) == pytest.approx(1)


def test_map_at_r_looks_no_further_than_r() -> None:
    # R = 3: (1 + 2/3) / 3. R = 1: the relevant one is at rank 2, too late.
    assert measures.map_at_r(GRADES, RELEVANT) == pytest.approx(((1 + 2 / 3) / 3 + 0) / 2)


def test_perfect_answers_score_one_by_every_measure() -> None:
    grades, relevant = np.ones((3, 5)), np.array([5, 5, 5])
    assert measures.recall(grades, relevant)[-1] == 1
    assert measures.precision(grades)[-1] == 1
    assert measures.ndcg(grades, grades)[-1] == 1
    assert measures.map_at_r(grades, relevant) == 1
