"""Which segments are merged when, and what a merge does when the index goes on meanwhile."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lykeion.search.index.local import compaction
from lykeion.search.index.local.compaction import Merge, SegmentSize, chosen_kind, plan

from .indexes import clustered, open_local

NOW = datetime(2026, 3, 15, 12, 30, tzinfo=UTC)


def size(digest: str, rows: int, *, ago: timedelta = timedelta(0), **changes: Any) -> SegmentSize:
    at = (NOW - ago).timestamp()
    given = {"deleted": 0, "patched": 0, "kind": chosen_kind(rows, "auto"), "written": (at, at)}
    return SegmentSize(digest, rows, **{**given, **changes})


def planned(*sizes: SegmentSize, **options: Any) -> set[str] | None:
    merge = plan(sizes, now=NOW.timestamp(), **options)
    return None if merge is None else set(merge.segments)


def test_nothing_is_merged_where_there_is_nothing_to_gain() -> None:
    assert planned() is None
    assert planned(size("a", 10)) is None
    assert planned(size("a", 1000), size("b", 100), size("c", 20)) is None


def test_segments_are_merged_with_all_smaller_ones_once_these_have_half_their_rows() -> None:
    assert planned(size("a", 100), size("b", 50)) == {"a", "b"}
    assert planned(size("a", 1000), size("b", 100), size("c", 60)) == {"b", "c"}


@pytest.mark.parametrize(
    "waste", [{"deleted": 26}, {"patched": 51}, {"kind": "exact", "rows": 5000}], ids=["deleted", "patched", "kernel"]
)
def test_a_wasteful_segment_is_written_anew(waste: dict[str, Any]) -> None:
    assert planned(size("big", 10**6), size("a", **{"rows": 100, **waste})) == {"a"}


def test_segments_are_not_merged_beyond_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "MAX_ROWS", 100)
    assert planned(size("a", 80), size("b", 60)) is None
    assert planned(size("a", 80), size("b", 60), size("c", 30)) == {"b", "c"}


def test_full_merges_all_and_then_rests() -> None:
    assert planned(size("a", 10**6), size("b", 1), full=True) == {"a", "b"}
    assert planned(size("a", 10), full=True) is None
    assert planned(size("a", 5000, kind="exact"), full=True) == {"a"}
    assert planned(size("a", 10, deleted=1), full=True) == {"a"}
    assert planned(size("a", 10, outdated=True), full=True) == {"a"}
    assert planned(size("a", 10, outdated=True)) is None


def test_hours_become_days_and_days_become_months() -> None:
    hour, day = timedelta(hours=1), timedelta(days=1)
    big = {"kind": "ivf"}
    assert planned(size("a", 10**6, ago=hour, **big), size("b", 10, ago=hour), policy="time") == {"a", "b"}
    assert planned(size("a", 10**6, ago=hour, **big), size("b", 10, ago=3 * hour), policy="time") is None
    assert planned(size("a", 10**6, ago=day, **big), size("b", 10, ago=day + 3 * hour), policy="time") == {"a", "b"}
    assert planned(size("a", 10**6, ago=day, **big), size("b", 10, ago=3 * day), policy="time") is None
    assert planned(size("a", 10**6, ago=30 * day, **big), size("b", 10, ago=20 * day), policy="time") == {"a", "b"}
    assert planned(size("a", 10**6, ago=20 * day, **big), size("b", 10, ago=50 * day), policy="time") is None


def test_within_the_present_hour_sizes_decide() -> None:
    minute = timedelta(minutes=1)
    assert planned(size("a", 100, ago=minute), size("b", 10), policy="time") is None
    assert planned(size("a", 100, ago=minute), size("b", 60), policy="time") == {"a", "b"}


@st.composite
def several_sizes(draw: st.DrawFn) -> list[SegmentSize]:
    sizes = []
    for number in range(draw(st.integers(0, 12))):
        rows = draw(st.integers(1, 3000) | st.integers(1, 60_000_000))
        ago = timedelta(minutes=draw(st.integers(0, 60 * 24 * 100)))
        deleted, patched = draw(st.integers(0, rows)), draw(st.integers(0, rows))
        kind = draw(st.sampled_from(["exact", "ivf", "hnsw"]))
        sizes.append(size(str(number), rows, ago=ago, deleted=deleted, patched=patched, kind=kind))
    return sizes


@given(
    sizes=several_sizes(),
    policy=st.sampled_from(["size", "time"]),
    kernel=st.sampled_from(["auto", "exact", "hnsw", "ivf"]),
    full=st.booleans(),
)
def test_planning_and_merging_comes_to_an_end(sizes: list[SegmentSize], policy: str, kernel: str, full: bool) -> None:
    live = sum(size.live for size in sizes)
    for number in range(60):
        merge = plan(sizes, policy=policy, now=NOW.timestamp(), kernel=kernel, full=full)
        if merge is None:
            break
        assert merge.segments
        sizes = _merged(sizes, merge, f"merged {number}", kernel)
        full = False
    else:
        pytest.fail("merges without end")
    assert sum(size.live for size in sizes) == live
    if policy == "size":
        within = [size for size in sizes if size.live <= compaction.MAX_ROWS // 4]
        assert len(within) < 2 or sum(size.live for size in sizes) > compaction.MAX_ROWS or _logarithmic(sizes)


def _logarithmic(sizes: list[SegmentSize]) -> bool:
    rows = sorted((size.live for size in sizes), reverse=True)
    return all(2 * sum(rows[n + 1 :]) < rows[n] for n in range(len(rows) - 1))


def _merged(sizes: list[SegmentSize], merge: Merge, digest: str, kernel: str) -> list[SegmentSize]:
    sources = [size for size in sizes if size.digest in merge.segments]
    assert len(sources) == len(merge.segments)
    rows = sum(size.live for size in sources)
    written = (min(size.written[0] for size in sources), max(size.written[1] for size in sources))
    rest = [size for size in sizes if size.digest not in merge.segments]
    return [*rest, SegmentSize(digest, rows, 0, 0, chosen_kind(rows, kernel), written)] if rows else rest


# --- merging while the index goes on ---


def _during_the_next_merge(monkeypatch: pytest.MonkeyPatch, act: Callable[[], None]) -> None:
    """Do something after the next merged segment is written and before it is put in place."""
    build: Callable[..., Any] = compaction.build

    def build_then_act(*arguments: Any) -> Any:
        built = build(*arguments)
        monkeypatch.setattr(compaction, "build", build)
        act()
        return built

    monkeypatch.setattr(compaction, "build", build_then_act)


VECTORS, _ = clustered(100, 8)


@pytest.fixture
def two_segments(tmp_path: Path) -> Path:
    path = tmp_path / "index"
    with open_local(path, dimension=8, kernel="ivf", background=False) as index:
        for half in (range(50), range(50, 100)):
            index.upsert([f"p{n}" for n in half], VECTORS[half], [{"n": n} for n in half])
            index.snapshot("sealed")
        index.drop_snapshot("sealed")
    return path


def test_what_is_written_during_a_merge_is_carried_over(two_segments: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_local(two_segments, background=False) as index:

        def write() -> None:
            index.delete(["p3", "p70"])
            index.update(["p4", "p71"], [{"n": -4}, {"price": 1.5}])
            index.upsert(["p5", "new"], VECTORS[:2], [{"n": -5}, {"n": -6}])
            index.snapshot("during")

        _during_the_next_merge(monkeypatch, write)
        index.compact(full=True)
        assert index.count() == 99
        assert [product and product.attributes for product in index.get(["p3", "p4", "p5", "p70", "p71", "new"])] == [
            *(None, {"n": -4}, {"n": -5}, None, {"n": 71, "price": 1.5}, {"n": -6})
        ]
        assert index.verify() == []
    with open_local(two_segments, "r") as reader:
        assert reader.count() == 99
        assert reader.count("n < 0") == 3


def test_a_segment_that_is_being_merged_is_not_collected(two_segments: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_local(two_segments, background=False) as index, open_local(two_segments, "r") as reader:

        def seal_and_collect() -> None:
            for n in range(4):
                index.upsert([f"more {n}"], VECTORS[:1])
                index.snapshot("again")
            time.sleep(0.2)  # a reader looks every 0.1 s
            assert reader.count() == 104

        _during_the_next_merge(monkeypatch, seal_and_collect)
        index.compact(full=True)
        assert index.count() == 104
        assert index.verify() == []


@pytest.mark.parametrize("change", ["delete", "update"])
def test_a_merge_gives_way_to_a_return_to_an_earlier_state(
    two_segments: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    with open_local(two_segments, background=False) as index:
        index.snapshot("before")
        if change == "delete":
            index.delete([f"p{n}" for n in range(40)])
        else:
            index.update(["p1"], [{"n": -1}])
        _during_the_next_merge(monkeypatch, lambda: index.restore("before"))
        index.compact(full=True)
        assert index.count() == 100
        assert index.count("n >= 0") == 100
        index.compact(full=True)
        assert index.count("n >= 0") == 100
        assert index.verify() == []


def test_a_merge_of_what_was_all_deleted_meanwhile_leaves_nothing(
    two_segments: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_local(two_segments, background=False) as index:
        _during_the_next_merge(monkeypatch, lambda: assert_deleted(index.delete([f"p{n}" for n in range(100)])))
        index.compact(full=True)
        assert index.count() == 0
        assert index.search(VECTORS[:1], 3) == [[]]
        assert index.stats().details["segments"] == []


def assert_deleted(count: int) -> None:
    assert count == 100


def test_space_comes_back(tmp_path: Path) -> None:
    with open_local(tmp_path / "index", dimension=8, background=False) as index:
        index.upsert([str(n) for n in range(1000)], np.tile(VECTORS, (10, 1)))
        index.compact()
        before = index.stats().details["bytes"]
        index.delete([str(n) for n in range(900)])
        index.compact()
        after = index.stats().details["bytes"]
        assert isinstance(before, int)
        assert isinstance(after, int)
        assert after < before / 3


def test_an_explicit_compaction_waits_for_the_one_in_the_background(
    two_segments: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, leave = threading.Event(), threading.Event()
    build: Callable[..., Any] = compaction.build

    def slow_build(*arguments: Any) -> Any:
        entered.set()
        leave.wait(10)
        return build(*arguments)

    monkeypatch.setattr(compaction, "build", slow_build)
    with open_local(two_segments, seal_rows=10) as index:
        index.upsert([f"bulk {n}" for n in range(20)], VECTORS[:20])
        assert entered.wait(10)
        threading.Timer(0.1, leave.set).start()
        index.compact(full=True)
        assert len(index.stats().details["segments"]) == 1  # pyright: ignore[reportArgumentType]
        assert index.count() == 120


def test_closing_abandons_a_merge_and_the_end_of_a_with_waits_for_it(two_segments: Path) -> None:
    index = open_local(two_segments, seal_rows=10)
    index.upsert([f"bulk {n}" for n in range(20)], VECTORS[:20])
    index._compactor._closing.set()  # as if it were closed in the midst of the merge
    index.close()
    with open_local(two_segments, "r") as reader:
        assert reader.count() == 120
        before = len(reader.stats().details["segments"])  # pyright: ignore[reportArgumentType]
    assert not list((two_segments / "segments").glob(".writing-*"))
    with open_local(two_segments, seal_rows=10) as index:
        index.upsert([f"more {n}" for n in range(20)], VECTORS[:20])
    with open_local(two_segments, "r") as reader:
        assert reader.count() == 140
        assert len(reader.stats().details["segments"]) < before + 1  # pyright: ignore[reportArgumentType]


def test_compaction_in_the_background_gives_up_quietly_when_the_lock_is_taken(
    two_segments: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures: list[object] = []
    monkeypatch.setattr(threading, "excepthook", failures.append)
    taken = threading.Event()
    build: Callable[..., Any] = compaction.build

    def build_while_another_writes(*arguments: Any) -> Any:
        built = build(*arguments)
        taken.wait(10)
        return built

    monkeypatch.setattr(compaction, "build", build_while_another_writes)
    with open_local(two_segments, "shared", seal_rows=10) as index:
        index.upsert([f"bulk {n}" for n in range(20)], VECTORS[:20])
        with open_local(two_segments, "w", background=False) as writer:
            taken.set()
            compactor = index._compactor._thread
            assert compactor is not None
            compactor.join(10)
            assert not compactor.is_alive()
            writer.upsert(["other"], VECTORS[:1])
        index.upsert(["after"], VECTORS[:1])
        assert index.count() == 122
    assert failures == []
