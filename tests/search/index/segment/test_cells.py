"""Cells in proportion to the rows, found by the groups that they are in."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lykeion.search.index import open_index
from lykeion.search.index.protocol import Photo
from lykeion.search.index.segment import cells as cells_module
from lykeion.search.index.segment import codes as codes_module
from lykeion.search.index.segment.byte_matrix import TOGETHER
from lykeion.search.index.segment.calibration import DEFAULT, calibrate
from lykeion.search.index.segment.cells import Cells, cell_count, learn_cells
from lykeion.search.index.segment.codes import learn
from lykeion.search.index.segment.kernel import Effort, Scope, Searchable, SegmentCodes, nearest
from lykeion.search.index.segment.segment import Segment, to_columns, write_segment

ROWS, DIMENSION = 8_192, 32
BRIEF = Effort(ef=64, rerank=40, scan=2)
"""Of 8,192 rows, 512 are compared."""


def clustered(rows: int) -> np.ndarray:
    random = np.random.default_rng(rows)
    centres = random.standard_normal((80, DIMENSION))
    vectors = centres[random.integers(0, len(centres), rows)] + 0.5 * random.standard_normal((rows, DIMENSION))
    return vectors.astype(np.float16)


VECTORS, QUERIES = clustered(ROWS), clustered(100).astype(np.float32)


@pytest.fixture
def in_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice as many cells as a search looks at, at least."""
    monkeypatch.setattr(codes_module, "cell_count", lambda rows: 1_000)
    monkeypatch.setattr(cells_module, "ONE_GROUP", 64)


def learned() -> tuple[np.ndarray, SegmentCodes]:
    order, codes = learn(VECTORS, "ivf")
    return VECTORS[order], codes


def recall(vectors: np.ndarray, codes: SegmentCodes, effort: Effort, allowed: np.ndarray | None = None) -> float:
    bits = None if allowed is None else np.packbits(allowed, bitorder="little").view("<u8")
    exact, scope = (Scope([Searchable(vectors, ROWS, which)], [bits]) for which in (None, codes))
    found = 0
    for query in QUERIES:
        rows = nearest(scope, query, 10, effort, squared=True).rows
        assert len({*rows}) == 10
        assert allowed is None or allowed[rows].all()
        found += len({*rows} & {*nearest(exact, query, 10, effort, squared=True).rows})
    return found / (10 * len(QUERIES))


@pytest.mark.parametrize("rows", [1_000_000, 5_000_000, 30_000_000])
def test_a_cell_has_no_more_rows_where_there_are_more(rows: int) -> None:
    assert 300 <= rows / cell_count(rows) <= 500


def test_few_rows_have_more_cells_in_proportion() -> None:
    assert [cell_count(rows) for rows in (10, 8_192, 60_000)] == [8, 256, 512]


def test_the_cells_of_the_nearest_groups_are_enough(in_groups: None, monkeypatch: pytest.MonkeyPatch) -> None:
    grouped = learned()
    monkeypatch.setattr(cells_module, "ONE_GROUP", 1_024)
    whole = learned()
    assert len(grouped[1].group_cells) > 60
    assert len(whole[1].group_cells) == 2
    assert recall(*grouped, BRIEF) >= recall(*whole, BRIEF) - 0.02 > 0.9
    assert recall(*grouped, calibrate(*grouped)) >= 0.99


def test_what_is_deleted_is_passed_over_in_every_group(in_groups: None) -> None:
    vectors, codes = learned()
    assert recall(vectors, codes, DEFAULT, np.random.default_rng(0).random(ROWS) < 0.3) >= 0.99


def test_cells_without_an_allowed_row_lead_to_more_groups(in_groups: None) -> None:
    """Twenty rows of the farthest cells alone are allowed."""
    vectors, codes = learned()
    allowed = np.zeros(ROWS, bool)
    allowed[np.argsort(vectors.astype(np.float32) @ QUERIES[0])[:20]] = True
    assert recall(vectors, codes, BRIEF, allowed) == 1


def test_a_vector_is_in_the_nearest_cell_or_one_about_as_near(in_groups: None) -> None:
    points = VECTORS.astype(np.float32)
    cells = learn_cells(points, 128, np.random.default_rng(0))
    which = cells.nearest(points)
    distances = cells.halves - points @ cells.centroids.T
    assert (distances.argmin(axis=1) == which).mean() > 0.9
    assert np.diff(cells.group_cells).max() == TOGETHER
    assert np.isfinite(cells.halves[which]).all()
    assert len(np.unique(which)) > 120


@given(st.lists(st.integers(0, 6), min_size=1, max_size=120), st.integers(0, 9))
def test_every_centroid_stays_in_its_group_whatever_the_groups(group_of: list[int], seed: int) -> None:
    random = np.random.default_rng(seed)
    centroids = random.standard_normal((len(group_of), 5)).astype(np.float32)
    cells = Cells(centroids, np.zeros((7, 5), np.float32), np.array(group_of))
    assert (cells.group_cells % TOGETHER == 0).all()
    for group, centroid in zip(group_of, centroids, strict=True):
        first, end = cells.group_cells[group : group + 2]
        (at,) = np.flatnonzero((cells.centroids[first:end] == centroid).all(axis=1))
        assert np.isfinite(cells.halves[first + at])
    assert np.isfinite(cells.halves).sum() == len(group_of)


def test_a_filter_that_disagrees_with_the_query_finds_what_it_must(in_groups: None, tmp_path: Path) -> None:
    """Each query is asked for the half of the rows that is farther from it in one direction."""
    vectors = VECTORS.astype(np.float32)
    with open_index(tmp_path / "index", "w", dimension=DIMENSION, metric="l2", background=False) as index:
        index.upsert([*map(str, range(ROWS))], vectors, [{"far": bool(vector[0] > 0)} for vector in vectors])
        index.compact()
        found = 0
        for query in QUERIES:
            far = np.flatnonzero((vectors[:, 0] > 0) == (query[0] <= 0))
            true = far[np.argsort(((vectors[far] - query) ** 2).sum(axis=1))[:10]]
            (hits,) = index.search(query[None], 10, where=f"far = {'true' if query[0] <= 0 else 'false'}")
            found += len({int(hit.id) for hit in hits} & {*true.tolist()})
    assert found >= 0.99 * 10 * len(QUERIES)


def written(path: Path) -> Path:
    ids = [str(row) for row in range(ROWS)]
    photos = [Photo("", "")] * ROWS
    rows = to_columns(ids, photos, pa.table({"n": pa.nulls(ROWS)}).drop_columns(["n"]))
    digest, _ = write_segment(path, rows, VECTORS, "ivf", written=(0, 0))
    return path / digest


def test_a_segment_that_is_opened_answers_as_it_was_learned(in_groups: None, tmp_path: Path) -> None:
    segment = Segment(written(tmp_path))
    vectors, codes = learned()
    for query in QUERIES:
        opened, made = (
            nearest(Scope([each], [None]), query, 10, BRIEF, squared=True)
            for each in (segment.searchable, Searchable(vectors, ROWS, codes))
        )
        assert (opened.rows, opened.scores) == (made.rows, made.scores)


@pytest.mark.parametrize("damage", ["descending", "out of step", "too many"])
def test_groups_that_cannot_be_are_not_followed(in_groups: None, tmp_path: Path, damage: str) -> None:
    path = written(tmp_path)
    file = path / "kernel" / "group_cells.bin"
    bounds = np.fromfile(file, "<i8")
    match damage:
        case "descending":
            bounds[1], bounds[2] = bounds[2] + TOGETHER, bounds[1]
        case "out of step":
            bounds[1] += 1
        case _:
            bounds[-1] += TOGETHER
    file.write_bytes(bounds.data)
    segment = Segment(path)
    assert segment.kind == "exact"
    assert any("rebuild" in problem for problem in segment.problems())
