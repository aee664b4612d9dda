import numpy as np
import pytest

from lykeion.search.index.segment import codes as codes_module
from lykeion.search.index.segment.calibration import DEFAULT, calibrate, effort_for, hardest
from lykeion.search.index.segment.codes import Kind, learn
from lykeion.search.index.segment.kernel import Effort, Scope, Searchable, SegmentCodes, nearest

ROWS, DIMENSION = 8_000, 400


def spread(kind: Kind, directions: int) -> tuple[np.ndarray, SegmentCodes]:
    """Vectors whose variance lies in so many directions, and their codes; codes keep 188."""
    random = np.random.default_rng(5)
    vectors = random.standard_normal((ROWS, directions)) @ random.standard_normal((directions, DIMENSION))
    vectors = (vectors / np.sqrt(directions)).astype(np.float16)
    order, codes = learn(vectors, kind)
    return vectors[order], codes


def recall(vectors: np.ndarray, codes: SegmentCodes, effort: Effort) -> float:
    random = np.random.default_rng(6)
    rows = vectors[random.integers(0, ROWS, (3, 50))].astype(np.float32)
    queries = rows[0] + 0.5 * (rows[1] - rows[2])
    exact, scope = Scope([Searchable(vectors, ROWS)], [None]), Scope([Searchable(vectors, ROWS, codes)], [None])
    found = 0
    for query in queries:
        truth = nearest(exact, query, 10, effort, squared=True).rows
        found += len({*truth} & {*nearest(scope, query, 10, effort, squared=True).rows})
    return found / 500


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["ivf", "hnsw"])
def test_data_that_codes_tell_apart_badly_get_the_effort_that_they_need(kind: Kind) -> None:
    vectors, codes = spread(kind, 300)
    effort = calibrate(vectors, codes)
    assert recall(vectors, codes, effort) >= 0.97
    assert recall(vectors, codes, DEFAULT) < 0.9


def test_four_bit_codes_of_less_than_half_the_variance_find_as_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codes_module, "NIBBLE_ROWS", ROWS)
    vectors, codes = spread("ivf", 300)
    assert codes.nibbles
    assert codes.codes.shape == (ROWS, 64)
    assert codes.whole
    assert recall(vectors, codes, calibrate(vectors, codes)) >= 0.97


def test_easy_data_get_no_more_than_the_least() -> None:
    easy = spread("ivf", 8)
    assert calibrate(*easy).scan == DEFAULT.scan
    assert recall(*easy, DEFAULT) >= 0.97


def test_more_answers_take_more_effort_and_all_are_ranked_by_their_vectors() -> None:
    base = Effort(ef=30, rerank=40, scan=20)
    assert effort_for(10, base) == Effort(ef=40, rerank=40, scan=20)
    assert effort_for(1, base) == effort_for(10, base)
    assert effort_for(1_000, base).rerank == 2_000
    assert effort_for(40, base).scan == 40


def test_an_index_is_searched_as_hard_as_its_hardest_segment_needs() -> None:
    assert hardest([Effort(1, 90, 3), Effort(20, 5, 3)]) == Effort(20, 90, 3)
    assert hardest([]) == DEFAULT
