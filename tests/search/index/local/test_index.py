"""What only the local index promises: snapshots, copies, merging, limits, a full disk, formats that stay readable."""

import json
import os
import resource
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lykeion.core import LykeionError, NotFound
from lykeion.search.index import (
    BatchError,
    Effort,
    EmbedderMismatch,
    IndexFormatError,
    Photo,
    SchemaError,
    StorageError,
    checked_json,
)
from lykeion.search.index.segment.kernel_file import KERNEL_FORMAT, is_outdated
from tests import mounts

from .indexes import clustered, exact, open_local

DIMENSION = 6
VECTORS, _ = clustered(400, DIMENSION)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """An index of ten products, 0 to 9, each with its number."""
    with open_local(tmp_path / "index", dimension=DIMENSION, background=False) as index:
        index.upsert([str(n) for n in range(10)], VECTORS[:10], [{"n": n} for n in range(10)])
    return tmp_path / "index"


# --- states to return to ---


def test_a_snapshot_is_taken_without_copying(path: Path) -> None:
    with open_local(path, background=False) as index:
        index.upsert([f"more {n}" for n in range(300)], VECTORS[:300])
        index.snapshot("first")
        before = index.stats().details["bytes"]
        index.snapshot("second")
        after = index.stats().details["bytes"]
        assert isinstance(before, int)
        assert isinstance(after, int)
        assert after - before < 2000


def test_an_index_returns_to_a_snapshot_and_forward_again(path: Path) -> None:
    with open_local(path, background=False) as index:
        index.snapshot("ten")
        index.delete(["0"])
        index.update(["1"], [{"n": 100, "new": True}])
        index.upsert(["more"], VECTORS[20:21])
        index.snapshot("later")
        index.compact(full=True)
        for _ in range(2):
            index.restore("ten")
            assert index.count() == index.count("n < 10") == 10
            index.restore("later")
            assert index.count() == 10
            assert index.get(["0", "1"])[1].attributes == {"n": 100, "new": True}  # pyright: ignore
        index.drop_snapshot("ten")
        with pytest.raises(NotFound, match=r"no snapshot 'ten'; it has later, "):
            index.restore("ten")
        index.compact()
        assert index.verify() == []


def test_a_past_generation_that_is_still_kept_can_be_returned_to(path: Path) -> None:
    with open_local(path, background=False, keep_manifests=3) as index:
        index.compact()
        generation = str(index.stats().details["generation"])
        index.upsert([f"bulk {n}" for n in range(20)], VECTORS[:20])
        index.snapshot("seals")
        index.delete(["3"])
        index.restore(generation)
        assert index.count() == 10
        assert index.verify() == []


@pytest.mark.parametrize("name", ["", ".", "..", "../../etc/passwd", "a/b", "a\0b", "n" * 129, ".hidden"])
def test_a_snapshot_of_a_bad_name_is_refused_and_leaves_nothing(path: Path, name: str) -> None:
    with open_local(path, background=False) as index:
        for method in (index.snapshot, index.restore, index.drop_snapshot):
            with pytest.raises(NotFound, match="cannot name a snapshot") as error:
                method(name)
            assert "\n" not in str(error.value)
        assert index.stats().details["snapshots"] == []


def test_a_manifest_that_a_crash_left_behind_does_no_harm(path: Path) -> None:
    """A kill between writing a manifest and putting it in force: collecting must not take it for the newest."""
    with open_local(path, background=False) as index:
        index.compact()
        (manifest,) = (path / "manifests").glob("*.json")
        orphan = Path(shutil.copy(manifest, manifest.with_stem(f"{int(manifest.stem) + 1:012d}")))
        index.compact()
        assert not orphan.exists()
        assert index.count() == 10
    with open_local(path, background=False) as index:
        assert index.count() == 10
        assert index.verify() == []


# --- copies and merging ---


def test_an_export_is_an_index_of_its_own(path: Path, tmp_path: Path) -> None:
    with open_local(path, background=False) as index:
        index.compact()
        index.delete(["9"])
        index.update(["8"], [{"n": 80}])
        index.export(tmp_path / "copy")
        with pytest.raises(IndexFormatError, match="exists"):
            index.export(tmp_path / "copy")
    shutil.rmtree(path)
    with open_local(tmp_path / "copy", background=False) as copy:
        assert copy.count() == 9
        assert copy.get(["8"])[0].attributes == {"n": 80}  # pyright: ignore
        copy.upsert(["own"], VECTORS[:1])
        copy.compact()
        assert copy.verify() == []


def test_merging_takes_over_products_whole_and_keeps_the_rest(path: Path, tmp_path: Path) -> None:
    with open_local(tmp_path / "other", dimension=DIMENSION, background=False) as other:
        other.upsert(["8", "9", "10"], VECTORS[100:103], [{"n": 800}, {"n": 900}, {"price": 1.5}])
        other.upsert(["8"], VECTORS[103:104], photos=[Photo("back")])
        other.upsert(["gone"], VECTORS[104:105])
        other.compact()
        other.delete(["gone"])
        other.update(["9"], [{"n": 901}])
        other.compact()
    with open_local(path, background=False) as index:
        index.upsert(["9", "9"], VECTORS[50:52])
        index.merge_from(tmp_path / "other")
        assert index.count() == 11
        products = {product.id: product for product in index.get([str(n) for n in range(11)]) if product}
        assert products["7"].attributes == {"n": 7}
        assert products["9"].attributes == {"n": 901}
        assert products["10"].attributes == {"price": 1.5}
        assert [photo.name for photo in products["8"].photos] == ["", "back"]
        assert len(products["9"].photos) == 1
        index.merge_from(tmp_path / "other")
        index.compact(full=True)
        assert (index.count(), index.stats().photos) == (11, 12)
        assert index.verify() == []
    with open_local(tmp_path / "other", "r") as other:
        assert other.verify() == []


def test_merging_a_copy_that_went_its_own_way_brings_its_products_as_they_are_there(
    path: Path, tmp_path: Path
) -> None:
    with open_local(path, background=False) as index:
        index.compact(full=True)
        index.export(tmp_path / "copy")
        index.delete(["0", "1"])
        index.update(["2", "3"], [{"n": 20}, {"n": 30}])
        index.upsert(["4"], VECTORS[60:61], [{"n": 40}])
        index.compact()
        with open_local(tmp_path / "copy", background=False) as copy:
            copy.delete(["1", "5"])
            copy.update(["3", "6"], [{"n": 300}, {"n": 600}])
            copy.compact()
        index.merge_from(tmp_path / "copy")
        products = {product.id: product.attributes["n"] for product in index.get([*map(str, range(10))]) if product}
        assert products == {"0": 0, "2": 2, "3": 300, "4": 4, "5": 5, "6": 600, "7": 7, "8": 8, "9": 9}
        assert index.stats().photos == len(products)
        assert index.search(VECTORS[4:5], 1)[0][0].id == "4"
        assert index.verify() == []


def test_what_does_not_fit_is_not_merged_and_changes_nothing(path: Path, tmp_path: Path) -> None:
    with open_local(tmp_path / "wide", dimension=7) as wide:
        wide.upsert(["x"], np.ones((1, 7), np.float32))
    with open_local(tmp_path / "conflict", dimension=DIMENSION) as conflict:
        conflict.upsert(["0"], VECTORS[:1], [{"n": "a string"}])
        conflict.compact()
    with open_local(path, background=False) as index:
        for name, error in {"wide": EmbedderMismatch, "conflict": SchemaError}.items():
            with pytest.raises(error, match=name):
                index.merge_from(tmp_path / name)
        with pytest.raises(IndexFormatError, match="is not an index"):
            index.merge_from(tmp_path / "nothing")
        assert index.count("n >= 0") == 10
        assert index.verify() == []


# --- limits ---


@pytest.mark.parametrize("kernel", ["exact", "hnsw", "ivf"])
@pytest.mark.parametrize("rows", [1, 2, 7, 8, 10, 65])
@pytest.mark.parametrize("same", [False, True], ids=["different", "same"])
def test_small_segments_have_every_kernel(tmp_path: Path, kernel: str, rows: int, same: bool) -> None:
    vectors = np.repeat(VECTORS[:1], rows, axis=0) if same else VECTORS[:rows]
    with open_local(tmp_path / "index", dimension=DIMENSION, kernel=kernel, background=False) as index:
        index.upsert([str(n) for n in range(rows)], vectors)
        index.compact(full=True)
        (hits,) = index.search(vectors[:1], 10)
        assert len(hits) == min(10, rows)
        assert hits[0].score == pytest.approx(1, abs=2e-3)
        index.delete([str(n) for n in range(rows)])
        assert index.search(vectors[:1], 10) == [[]]
        assert index.count() == 0
        index.compact()
        assert index.search(vectors[:1], 10) == [[]]
        index.upsert(["back"], vectors[:1])
        assert [hit.id for hit in index.search(vectors[:1], 10)[0]] == ["back"]


@pytest.mark.parametrize("kernel", ["exact", "hnsw", "ivf"])
@pytest.mark.parametrize(
    ("dimension", "metric", "dtype"),
    [
        *((1, metric, dtype) for metric in ("cosine", "l2") for dtype in ("float16", "float32")),
        *((3, metric, dtype) for metric in ("cosine", "l2") for dtype in ("float16", "float32")),
        pytest.param(784, "l2", "float16", marks=pytest.mark.slow),
    ],
)
def test_vectors_of_any_dimension_are_found(
    tmp_path: Path, dimension: int, kernel: str, metric: str, dtype: str
) -> None:
    _assert_found(tmp_path, dimension, kernel, metric, dtype)


@pytest.mark.slow
def test_vectors_of_the_largest_network_are_found(tmp_path: Path) -> None:
    """By a graph, which needs all that is learnt of vectors."""
    _assert_found(tmp_path, 2048, "hnsw", "cosine", "float32")


def _assert_found(tmp_path: Path, dimension: int, kernel: str, metric: str, dtype: str) -> None:
    vectors = np.random.default_rng(0).normal(size=(60, dimension)).astype(np.float32)
    options: dict[str, Any] = {"kernel": kernel, "metric": metric, "dtype": dtype, "background": False}
    with open_local(tmp_path / "index", dimension=dimension, **options) as index:
        index.upsert([str(n) for n in range(60)], vectors)
        index.compact(full=True)
        for row in range(0, 60, 7):
            (hits,) = index.search(vectors[row : row + 1], 60)
            assert len(hits) == 60
            best = exact(vectors, vectors[row], 1, metric=metric)[0]
            if dimension > 1 or metric == "l2":
                assert int(hits[0].id) == best == row
            assert hits[0].score == pytest.approx(1.0 if metric == "cosine" else 0.0, abs=5e-2)


@pytest.mark.parametrize("k", [10, 1000, 10**6, 2**31, 2**40])
def test_more_answers_than_there_are_may_be_asked_for(path: Path, k: int) -> None:
    with open_local(path, background=False) as index:
        assert len(index.search(VECTORS[:1], k)[0]) == 10
        index.compact()
        assert len(index.search(VECTORS[:1], k)[0]) == 10
        assert len(index.search(["3"], k)[0]) == 9


@pytest.mark.parametrize("kernel", ["exact", "hnsw", "ivf"])
@pytest.mark.parametrize("scale", [1e-6, 1e18])
def test_very_large_and_very_small_vectors_are_found_in_float32(tmp_path: Path, kernel: str, scale: float) -> None:
    options: dict[str, Any] = {"metric": "l2", "dtype": "float32", "kernel": kernel, "background": False}
    vectors = (VECTORS[:100] / np.abs(VECTORS).max() * scale).astype(np.float32)
    with open_local(tmp_path / "index", dimension=DIMENSION, **options) as index:
        index.upsert([str(n) for n in range(100)], vectors)
        index.compact(full=True)
        for row in range(10):
            (hits,) = index.search(vectors[row : row + 1], 5)
            assert len(hits) == 5
            assert hits[0].id == str(row)


def test_values_beyond_float16_are_refused_and_nothing_is_kept(tmp_path: Path) -> None:
    with open_local(tmp_path / "index", dimension=2, metric="l2") as index:
        with pytest.raises(BatchError, match="beyond float16; make the index with dtype float32"):
            index.upsert(["a", "b"], np.array([[1, 2], [1, 70_000]], np.float32))
        assert index.count() == 0


@pytest.mark.parametrize(
    "wrong",
    [
        *({"dimension": 0}, {"dimension": -1}, {"metric": "dot"}),
        *({"dtype": "int8"}, {"kernel": "flat"}, {"compaction": "x"}),
    ],
    ids=str,
)
def test_an_index_that_cannot_be_is_not_made(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(IndexFormatError, match=next(iter(wrong))):
        open_local(tmp_path / "index", **{"dimension": 4, **wrong})
    assert not (tmp_path / "index").exists()


def test_a_place_that_cannot_hold_an_index_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("hello")
    with pytest.raises(StorageError, match=r"file: File exists$"):
        open_local(tmp_path / "file", dimension=4)


def test_a_scan_is_of_the_moment_it_was_asked_for(path: Path) -> None:
    with open_local(path, background=False) as index:
        scan = index.scan(batch=3)
        index.upsert(["late"], VECTORS[:1])
        index.update(["5"], [{"n": 500}])
        index.delete(["6"])
        index.snapshot("sealed")
        index.update(["7"], [{"n": 7.5}])
        seen = {id: row for rows in scan for id, row in zip(rows.ids, rows.attributes, strict=True)}
        assert seen == {str(n): {"n": n} for n in range(10)}


# --- a full disk ---


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with mounts.small_disk(tmp_path / "disk") as disk:
        yield disk


@pytest.mark.slow
@pytest.mark.parametrize("batch", [50, 2000], ids=["log", "bulk"])
def test_a_full_disk_refuses_writes_whole_and_what_is_there_stays(small_disk: Path, batch: int) -> None:
    vectors = np.random.default_rng(0).normal(size=(batch, 64)).astype(np.float32)
    kept: list[int] = []
    refused: list[str] = []
    with open_local(small_disk / "index", dimension=64, seal_rows=2000) as index:
        for number in range(400):
            try:
                index.upsert([f"{number}/{n}" for n in range(batch)], vectors, [{"batch": number}] * batch)
                kept.append(number)
            except StorageError as error:
                refused.append(str(error))
                if len(refused) == 3:
                    break
        assert all("No space left on device" in error and "\n" not in error for error in refused)
        assert index.count() == len(kept) * batch
        assert len(index.search(vectors[:1], 5)[0]) == min(5, len(kept) * batch)
    with open_local(small_disk / "index", background=False) as index:
        assert index.count() == len(kept) * batch
        assert [index.count(f"batch = {number}") for number in kept] == [batch] * len(kept)
        assert index.verify() == []


def test_a_refused_write_leaves_nothing_and_the_next_one_is_taken(path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with open_local(path, background=False, seal_rows=1000) as index:
        size = index.stats().details["log_bytes"]
        assert isinstance(size, int)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 200, hard))
        try:
            with pytest.raises(StorageError, match="File too large"):
                index.upsert([f"big {n}" for n in range(300)], VECTORS[:300])
            assert index.count() == 10
            index.upsert(["small"], VECTORS[:1])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        index.upsert([f"big {n}" for n in range(300)], VECTORS[:300])
        assert index.count() == 311
    with open_local(path, "r") as reader:
        assert reader.count() == 311
        assert reader.verify() == []


def test_a_write_that_was_logged_is_acknowledged_though_its_segment_cannot_be_written(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lykeion.search.index.local import seal

    def refuse(*arguments: Any, **named: Any) -> Any:
        raise OSError(28, os.strerror(28))

    with open_local(path, background=False, seal_rows=20) as index:
        with monkeypatch.context() as patch:
            patch.setattr(seal, "write_segment", refuse)
            for n in range(10, 40):
                index.upsert([str(n)], VECTORS[n : n + 1], [{"n": n}])
            with pytest.raises(StorageError, match="No space left"):
                index.snapshot("impossible")
        assert index.count("n >= 0") == 40
        index.snapshot("possible")
        assert index.count() == 40
        assert index.verify() == []


# --- formats ---

FIXTURES = Path(__file__).parents[3] / "fixtures"


@pytest.mark.parametrize("version", [1])
def test_an_index_of_every_past_format_still_opens(tmp_path: Path, version: int) -> None:
    """tests/fixtures/make_index.py says what is in it; it is never made anew."""
    expected = json.loads((FIXTURES / f"index-v{version}.json").read_text())
    path = Path(shutil.copytree(FIXTURES / f"index-v{version}", tmp_path / "index"))
    with open_local(path, "r") as reader:
        _compare(reader, expected)
    with open_local(path, background=False) as index:
        assert index.verify() == []
        _compare(index, expected)
        index.upsert(["new"], np.ones((1, 8), np.float32), [{"stock": 7, "fresh": True}])
        index.delete(["new"])
        index.compact(full=True)
        _compare(index, expected)
        index.restore("first")
        assert index.count() == expected["first"]
        assert index.verify() == []


def test_a_graph_of_an_older_format_is_searched_until_compaction_converts_it(tmp_path: Path) -> None:
    """40 products of random vectors, p10 to p29 of one; p0 and p10 were deleted, and a snapshot was kept."""
    path = Path(shutil.copytree(FIXTURES / "index-v1-copies", tmp_path / "index"))
    queries = np.random.default_rng(0).standard_normal((20, 8)).astype(np.float32)
    with open_local(path, background=False) as index:
        before = [[round(hit.score, 4) for hit in hits] for hits in index.search(queries, 38)]
        assert _graphs(path) == [(1, None)]
        index.compact(full=True)
        after = [[round(hit.score, 4) for hit in hits] for hits in index.search(queries, 38)]
        assert after == before
        assert len(before[0]) == 38
        (found,) = index.search(["p11"], 18)
        assert {hit.id for hit in found} == {f"p{n}" for n in range(12, 30)}
        assert index.verify() == []
        assert (KERNEL_FORMAT, 18) in _graphs(path)
        index.restore("all")
        assert index.count() == 38


def test_cells_of_an_older_format_are_searched_until_compaction_converts_them(tmp_path: Path) -> None:
    """60 products of random vectors, in cells of whole vectors; 20 in few directions, in cells coded in 4 bits."""
    path = Path(shutil.copytree(FIXTURES / "index-v1-cells", tmp_path / "index"))
    random = np.random.default_rng(8)
    vectors = {f"wide {n}": vector for n, vector in enumerate(random.standard_normal((60, 256)))}
    narrow = random.standard_normal((20, 6)) @ random.standard_normal((6, 256))
    vectors |= {f"narrow {n}": vector for n, vector in enumerate(narrow)}
    brief = Effort(ef=10, rerank=10, scan=1e-9)  # the nearest cells alone, until they have ten rows

    def assert_finds_each() -> None:
        for id, vector in vectors.items():
            (hits,) = index.search(vector.astype(np.float32)[None], 1, effort=brief)
            assert [hit.id for hit in hits] == [id]

    with open_local(path, background=False) as index:
        assert _graphs(path) == [(2, 0), (2, 0)]
        assert_finds_each()
        index.compact(full=True)
        assert (KERNEL_FORMAT, 0) in _graphs(path)
        assert_finds_each()
        assert index.verify() == []


def test_cells_that_hold_too_many_rows_are_outdated() -> None:
    cells: dict[str, Any] = {"kind": "ivf", "format": 2, "cells": 4_096}
    assert is_outdated(cells, 5_000_000)
    assert not is_outdated(cells, 1_000_000)
    assert not is_outdated({**cells, "format": 3}, 5_000_000)
    assert is_outdated({**cells, "kind": "hnsw", "format": 1}, 1_000)


def test_compaction_converts_a_graph_that_has_nothing_else_to_gain(tmp_path: Path) -> None:
    with open_local(tmp_path / "index", dimension=DIMENSION, kernel="hnsw", background=False) as index:
        index.upsert([str(n) for n in range(10)], VECTORS[:10])
        index.compact(full=True)
    (path,) = (tmp_path / "index" / "segments").glob("*/kernel/kernel.json")
    older = {
        **checked_json.from_json(path.read_bytes(), path, newest=KERNEL_FORMAT),
        "format": 1,
        "whole_cells": True,
    }
    path.with_name("centroids.bin").write_bytes(bytes(2 * DIMENSION * older["cells"]))
    path.write_bytes(checked_json.to_json(older))
    assert _graphs(tmp_path / "index") == [(1, 0)]
    with open_local(tmp_path / "index", background=False) as index:
        index.compact(full=False)
        assert _graphs(tmp_path / "index") == [(1, 0)]
        index.compact(full=True)
        assert _graphs(tmp_path / "index") == [(KERNEL_FORMAT, 0)]
        index.compact(full=True)
        assert len(index.search(VECTORS[:1], 10)[0]) == 10
        assert index.verify() == []


def _graphs(path: Path) -> list[tuple[int, int | None]]:
    """The format of each segment's kernel, and how many copies it knows."""
    kernels = [json.loads(file.read_text()) for file in sorted(path.glob("segments/*/kernel/kernel.json"))]
    return [(kernel["format"], kernel.get("copies")) for kernel in kernels]


def _compare(index: Any, expected: dict[str, Any]) -> None:
    found = {
        product.id: {
            "photos": [[photo.name, photo.digest] for photo in product.photos],
            "attributes": {
                name: value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value
                for name, value in product.attributes.items()
            },
        }
        for product in index.get(sorted(expected["products"]))
        if product
    }
    assert found == expected["products"]
    assert index.count() == len(found)
    for search in expected["searches"]:
        (hits,) = index.search(np.array([search["query"]], np.float32), 5, where=search["where"])
        assert [hit.id for hit in hits] == search["ids"]
        assert [hit.score for hit in hits] == pytest.approx(search["scores"], abs=1e-3)


def test_every_error_of_the_index_is_one_of_ours() -> None:
    for error in (BatchError, EmbedderMismatch, IndexFormatError, NotFound, SchemaError, StorageError):
        assert issubclass(error, LykeionError)
