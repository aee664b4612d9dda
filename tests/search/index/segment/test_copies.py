"""Many rows of one vector, as of placeholder photos, are one node of the graph and hide nothing."""

from functools import cache

import numpy as np
import pytest

from lykeion.search.index.segment.calibration import DEFAULT, calibrate, effort_for
from lykeion.search.index.segment.codes import Kind, learn
from lykeion.search.index.segment.kernel import COPY, Nearest, Scope, Searchable, SegmentCodes, nearest

ROWS, DIMENSION = 6_000, 32
MANY = [(0.25, 1), (0.5, 5)]
SHARES = pytest.mark.parametrize(("share", "groups"), MANY, ids=["a quarter, one vector", "half, five vectors"])


@cache
def with_copies(share: float, groups: int, kind: Kind = "hnsw") -> tuple[np.ndarray, SegmentCodes]:
    random = np.random.default_rng(3)
    vectors = random.standard_normal((ROWS, DIMENSION)).astype(np.float16)
    copies = random.permutation(ROWS)[: round(share * ROWS)]
    vectors[copies] = vectors[copies[:groups]][np.arange(len(copies)) % groups]
    return learnt(vectors, kind)


def queries_near(vectors: np.ndarray) -> np.ndarray:
    random = np.random.default_rng(4)
    near = vectors[random.integers(0, ROWS, 100)].astype(np.float32)
    return near + 0.4 * random.standard_normal(near.shape).astype(np.float32)


def learnt(vectors: np.ndarray, kind: Kind = "hnsw") -> tuple[np.ndarray, SegmentCodes]:
    order, codes = learn(vectors, kind)
    return vectors[order], codes


def search(
    vectors: np.ndarray,
    codes: SegmentCodes | None,
    query: np.ndarray,
    k: int,
    allowed: np.ndarray | None,
    **how: bool,
) -> Nearest:
    bits = None if allowed is None else np.packbits(np.pad(allowed, (0, -ROWS % 64)), bitorder="little").view("<u8")
    return nearest(
        Scope([Searchable(vectors, len(vectors), codes)], [bits], **how),
        query,
        k,
        effort_for(k, DEFAULT),
        squared=True,
    )


def assert_finds_what_is_nearest(
    vectors: np.ndarray, codes: SegmentCodes, k: int, allowed: np.ndarray | None = None, **how: bool
) -> None:
    """At least 99 of 100 answers are as near as the k-th true one; none stands twice or is not allowed."""
    right = asked = 0
    for query in queries_near(vectors):
        found = search(vectors, codes, query, k, allowed, **how)
        (*_, last) = search(vectors, None, query, k, allowed, **how).scores
        assert len({*found.rows}) == len(found.rows) == k
        assert allowed is None or allowed[found.rows].all()
        right += sum(score <= last for score in found.scores)
        asked += k
    assert right >= 0.99 * asked


@SHARES
@pytest.mark.parametrize("k", [10, 100])
def test_copies_hide_no_other_row(share: float, groups: int, k: int) -> None:
    assert_finds_what_is_nearest(*with_copies(share, groups), k)


@SHARES
def test_copies_make_no_search_harder(share: float, groups: int) -> None:
    assert calibrate(*with_copies(share, groups)).ef <= 2 * calibrate(*with_copies(0, 1)).ef


@SHARES
def test_of_copies_those_that_are_not_deleted_are_found(share: float, groups: int) -> None:
    vectors, codes = with_copies(share, groups)
    links = codes.links
    assert links is not None
    copy = links[:, 0] == COPY
    kept = np.random.default_rng(0).random(ROWS) < 0.7
    kept[~copy & np.append(copy[1:], False)] = False  # the first of each group, which is the node
    assert_finds_what_is_nearest(vectors, codes, 10, kept)
    kept &= ~copy
    assert_finds_what_is_nearest(vectors, codes, 10, kept)


@SHARES
def test_filters_meet_copies_and_others_alike(share: float, groups: int) -> None:
    vectors, codes = with_copies(share, groups)
    assert_finds_what_is_nearest(vectors, codes, 10, np.random.default_rng(1).random(ROWS) < 0.1, filtered=True)


@pytest.mark.parametrize("k", [3, 10, 200, 5_000])
def test_more_answers_than_different_vectors_are_found(k: int) -> None:
    vectors, codes = learnt(
        np.random.default_rng(0).standard_normal((7, DIMENSION)).astype(np.float16).repeat(800, 0)
    )
    assert codes.copies == 5_600 - 7
    for query in np.random.default_rng(1).standard_normal((5, DIMENSION)).astype(np.float32):
        found, true = (search(vectors, which, query, k, None) for which in (codes, None))
        assert len({*found.rows}) == k
        assert found.scores == true.scores


@SHARES
def test_copies_follow_the_first_of_them(share: float, groups: int) -> None:
    vectors, codes = with_copies(share, groups)
    assert codes.links is not None
    copies = np.flatnonzero(codes.links[:, 0] == COPY)
    assert len(copies) == codes.copies == round(share * ROWS) - groups
    assert (vectors[copies] == vectors[copies - 1]).all()
    assert not np.isin(codes.links[codes.links < ROWS], copies).any()
    assert not np.isin(codes.entries, copies).any()


def test_cells_are_scanned_row_by_row() -> None:
    vectors, codes = with_copies(0.25, 1, "ivf")
    assert codes.copies == 0
    assert_finds_what_is_nearest(vectors, codes, 10)
