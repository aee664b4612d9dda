"""Two processes with one index, wherever the first is between looking and acting."""

import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from lykeion import search
from lykeion.core import LykeionError
from lykeion.search.index.filters import parse
from lykeion.search.index.local.compactor import Compactor
from lykeion.search.index.local.memory.view import MaskCache
from lykeion.search.index.schema import Schema
from lykeion.search.thumbnails import Thumbnails
from tests.interleaving import Meeting, meet_at_every_act

from .indexes import open_local

pytestmark = pytest.mark.slow
STEP = 5
"""Between the places that are tried, where there are very many."""
VECTORS = np.eye(4, dtype=np.float32)


def write(path: Path, *ids: str) -> None:
    with open_local(path, "shared", dimension=4, background=False) as index:
        index.upsert([*ids], VECTORS[: len(ids)])


def made(path: Path) -> Path:
    """An index of a, b, c and d in two segments, of which a is deleted, and e in the log."""
    with open_local(path, dimension=4, background=False, seal_rows=1) as index:
        index.upsert(["a", "b"], VECTORS[:2])
        index.upsert(["c", "d"], VECTORS[2:])
        index.delete(["a"])
    write(path, "e")
    return path


def ids(path: Path) -> set[str]:
    with open_local(path, "r") as index:
        assert index.verify() == []
        return {id for rows in index.scan() for id in rows.ids}


OPERATIONS: dict[str, Callable[[Path], object]] = {
    "write": lambda path: write(path, "new"),
    "compact": search.compact,
    "snapshot": lambda path: search.snapshot(path, "kept"),
    "export": lambda path: search.snapshot(path, export=path.with_suffix(".export")),
    "read": ids,
}


@pytest.mark.parametrize("second", ["write", "compact"])
@pytest.mark.parametrize("first", OPERATIONS)
def test_whatever_is_done_meanwhile_both_are_done_whole(tmp_path: Path, first: str, second: str) -> None:
    template = made(tmp_path / "made.index")

    def prepare(number: int) -> Meeting:
        path = Path(shutil.copytree(template, tmp_path / f"{number}.index"))

        def check() -> None:
            assert ids(path) == {"b", "c", "d", "e"} | ({"new"} if "write" in (first, second) else set())

        return Meeting(lambda: OPERATIONS[first](path), lambda: OPERATIONS[second](path), check)

    assert meet_at_every_act(prepare, step=STEP) > 10


def test_two_make_one_index(tmp_path: Path) -> None:
    def prepare(number: int) -> Meeting:
        path = tmp_path / str(number)

        def check() -> None:
            assert ids(path) == {"a", "b"}

        return Meeting(lambda: write(path, "a"), lambda: write(path, "b"), check)

    assert meet_at_every_act(prepare) > 10


@pytest.mark.parametrize(
    "copy",
    [lambda source, to: search.snapshot(source, export=to), lambda source, to: search.restore(to, source=source)],
    ids=["export", "restore"],
)
def test_of_two_copies_to_one_place_one_is_whole_and_one_is_refused(
    tmp_path: Path, copy: Callable[[Path, Path], object]
) -> None:
    template = made(tmp_path / "made.index")
    other = tmp_path / "other.index"
    write(other, "x")

    def prepare(number: int) -> Meeting:
        to = tmp_path / f"{number}.index"
        refused: list[str] = []

        def copying(source: Path) -> Callable[[], None]:
            def call() -> None:
                try:
                    copy(source, to)
                except LykeionError as error:
                    refused.append(str(error))

            return call

        def check() -> None:
            assert [f"{to} exists" in reason for reason in refused] == [True]
            assert ids(to) in ({"b", "c", "d", "e"}, {"x"})

        return Meeting(copying(template), copying(other), check)

    assert meet_at_every_act(prepare, step=STEP) > 10


@pytest.mark.parametrize("second", ["write", "compact"])
def test_an_index_is_merged_while_it_changes(tmp_path: Path, second: str) -> None:
    template = made(tmp_path / "made.index")

    def prepare(number: int) -> Meeting:
        path, out = Path(shutil.copytree(template, tmp_path / f"{number}.index")), tmp_path / f"{number}.out"

        def check() -> None:
            assert ids(out) - {"new"} == {"b", "c", "d", "e"}

        return Meeting(lambda: search.merge(out, [path]), lambda: OPERATIONS[second](path), check)

    assert meet_at_every_act(prepare, step=STEP) > 10


def test_two_make_one_file_of_thumbnails(tmp_path: Path) -> None:
    def prepare(number: int) -> Meeting:
        path = tmp_path / f"{number}.sqlite"

        def check() -> None:
            assert {Thumbnails(path).get(id) for id in ("a", "b")} == {b"1"}

        return Meeting(
            lambda: Thumbnails(path).put_many([("a", "", b"1")]),
            lambda: Thumbnails(path).put_many([("b", "", b"1")]),
            check,
        )

    assert meet_at_every_act(prepare) >= 1


class _Interrupted(Compactor):
    """A segment is written just when the background has found that nothing is due."""

    times = 0

    def _once(self, **how: Any) -> bool:
        self.times += 1
        if self.times == 1:
            self.start()
        return False


def test_a_segment_that_is_written_as_compaction_ends_is_looked_at() -> None:
    unused: Any = None
    compactor = _Interrupted(unused, background=True)
    compactor.start()
    compactor.finish()
    assert compactor.times == 2
    compactor.start()
    compactor.finish()
    assert compactor.times == 3


class _Evaluated:
    """A segment that tells how often filters were evaluated on it; the first two evaluations meet."""

    digest = "d"

    def __init__(self) -> None:
        self.times, self._meeting = 0, threading.Barrier(2, timeout=60)

    @property
    def attributes(self) -> pa.Table:
        self.times += 1
        if self.times <= 2:
            self._meeting.wait()
        return pa.table({"n": np.arange(100)})


def test_two_searches_that_evaluate_one_filter_take_the_room_of_one() -> None:
    segment, schema = _Evaluated(), Schema({"n": "integer"})
    entry = SimpleNamespace(patches=None)
    layer: Any = SimpleNamespace(segment=segment, entry=entry, patches=SimpleNamespace(table=None, recent={}))
    cache = MaskCache(limit_bytes=200)  # of two filters

    def evaluate(where: str) -> None:
        cache.get(layer, 100, parse(where), schema)

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(evaluate, ["n < 5", "n < 5"]))
    evaluate("n < 6")
    assert segment.times == 3
    evaluate("n < 5")
    assert segment.times == 3
