"""One writer, many readers, in several processes and threads."""

import multiprocessing
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from lykeion.search.index import IndexFormatError, IndexLocked
from lykeion.search.index.local import replica

from .indexes import clustered, open_local

DIMENSION = 8
VECTORS, _ = clustered(400, DIMENSION)


class Remote:
    """An index opened by another process: ``do`` calls a method there and returns what it returns."""

    def __init__(self, path: Path, mode: str, **options: Any) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["faiss", "lykeion.search.index", __name__])
        self._calls, theirs = multiprocessing.Pipe()
        self.process: BaseProcess = context.Process(target=_serve, args=(path, mode, options, theirs), daemon=True)
        self.process.start()
        theirs.close()

    def do(self, method: str, *arguments: Any, **named: Any) -> Any:
        self._calls.send((method, arguments, named))
        result = self._calls.recv()
        if isinstance(result, Exception):
            raise result
        return result

    def end(self) -> None:
        self._calls.close()
        self.process.join()


def _serve(path: Path, mode: Any, options: dict[str, Any], calls: Connection) -> None:
    index = None
    while True:
        try:
            method, arguments, named = calls.recv()
        except EOFError:
            break
        try:
            index = index or open_local(path, mode, **options)
            calls.send(getattr(index, method)(*arguments, **named))
        except Exception as error:
            calls.send(error)
    if index is not None:
        index.close()


@pytest.fixture
def remote(tmp_path: Path) -> Iterator[Callable[..., Remote]]:
    """Opens the test's index, which is made where it is missing, in another process."""
    remotes: list[Remote] = []

    def start(mode: str, **options: Any) -> Remote:
        remotes.append(Remote(tmp_path / "index", mode, **options))
        return remotes[-1]

    with open_local(tmp_path / "index", dimension=DIMENSION):
        pass
    yield start
    for each in remotes:
        each.end()


def _soon(holds: Callable[[], bool]) -> bool:
    """Whether it comes to hold at all; how soon is another test's matter, which hands in a clock."""
    deadline = time.monotonic() + 60
    while not (held := holds()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return held


def test_a_second_writer_is_told_the_pid_of_the_first(tmp_path: Path, remote: Callable[..., Remote]) -> None:
    writer = remote("w")
    writer.do("count")
    with pytest.raises(IndexLocked, match=rf"being written by process {writer.process.pid};"):
        open_local(tmp_path / "index")
    with (
        open_local(tmp_path / "index", "shared") as shared,
        pytest.raises(IndexLocked, match=rf"process {writer.process.pid};"),
    ):
        shared.upsert(["a"], VECTORS[:1])


def test_a_writer_that_was_killed_holds_nothing(tmp_path: Path, remote: Callable[..., Remote]) -> None:
    writer = remote("w")
    writer.do("upsert", ["a"], VECTORS[:1])
    writer.process.kill()
    writer.process.join()
    with open_local(tmp_path / "index") as index:
        assert index.count() == 1


def test_the_first_look_a_second_after_a_write_sees_it(
    tmp_path: Path, remote: Callable[..., Remote], monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, now = remote("w"), time.monotonic()
    with open_local(tmp_path / "index", "r") as reader:
        for second in range(1, 4):
            writer.do("upsert", [str(second)], VECTORS[:1])
            clock = SimpleNamespace(monotonic=lambda passed=second: now + passed, sleep=time.sleep)
            monkeypatch.setattr(replica, "time", clock)
            assert reader.count() == second


def test_readers_see_every_kind_of_write(tmp_path: Path, remote: Callable[..., Remote]) -> None:
    writer = remote("w", background=False)
    with open_local(tmp_path / "index", "r") as reader:
        writer.do("upsert", ["a", "b"], VECTORS[:2], [{"n": 1}, {"n": 2}])
        assert _soon(lambda: reader.count() == 2)
        assert reader.search(VECTORS[:1], 1)[0][0].id == "a"
        writer.do("update", ["a"], [{"n": 10, "new": "column"}])
        assert _soon(lambda: reader.get(["a"])[0].attributes == {"n": 10, "new": "column"})  # pyright: ignore
        assert reader.count("new = 'column'") == 1
        writer.do("delete", ["b"])
        assert _soon(lambda: reader.count() == 1)
        writer.do("snapshot", "kept")
        writer.do("upsert", [f"bulk {n}" for n in range(300)], VECTORS[:300])
        assert _soon(lambda: reader.count() == 301)
        writer.do("compact", full=True)
        assert _soon(lambda: len(reader.stats().details["segments"]) == 1)  # pyright: ignore
        assert reader.count() == 301
        writer.do("restore", "kept")
        assert _soon(lambda: reader.count() == 1)
        with pytest.raises(IndexFormatError, match="for reading only"):
            reader.delete(["a"])


def test_a_reader_outlives_the_compaction_of_what_it_reads(tmp_path: Path, remote: Callable[..., Remote]) -> None:
    writer = remote("w", background=False)
    writer.do("upsert", [str(n) for n in range(300)], VECTORS[:300])
    writer.do("snapshot", "gone")
    with open_local(tmp_path / "index", "r") as reader:
        scan = reader.scan(vectors=True, batch=50)
        first = next(scan)
        writer.do("drop_snapshot", "gone")
        writer.do("upsert", ["more"], VECTORS[300:301])
        writer.do("compact", full=True)
        seen = [*first.ids, *(id for rows in scan for id in rows.ids)]
        assert seen == [str(n) for n in range(300)]
        assert _soon(lambda: reader.count() == 301)


def test_writers_that_share_take_turns(tmp_path: Path, remote: Callable[..., Remote]) -> None:
    others = [remote("shared", seal_rows=50) for _ in range(2)]
    failures: list[BaseException] = []

    def write(number: int, upsert: Callable[..., Any]) -> None:
        try:
            for n in range(25):
                rows = range(4 * n, 4 * n + 4)
                upsert([f"{number}/{row}" for row in rows], VECTORS[rows], [{"writer": number}] * 4)
        except BaseException as error:
            failures.append(error)

    with open_local(tmp_path / "index", "shared", seal_rows=50) as index:
        upserts = [index.upsert, *(lambda *given, other=other: other.do("upsert", *given) for other in others)]
        threads = [threading.Thread(target=write, args=pair) for pair in enumerate(upserts)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        assert index.count() == 300 or _soon(lambda: index.count() == 300)
        assert all(_soon(lambda other=other: other.do("count") == 300) for other in others)
        assert [index.count(f"writer = {number}") for number in range(3)] == [100] * 3
    with open_local(tmp_path / "index") as index:
        assert index.count() == 300
        assert index.verify() == []


def test_what_is_served_can_be_added_to(tmp_path: Path, remote: Callable[..., Remote]) -> None:
    """``serve`` shares; ``index add`` writes, and while it does, the server still answers."""
    server = remote("shared")
    server.do("upsert", ["served"], VECTORS[:1])
    with open_local(tmp_path / "index", "w") as adding:
        adding.upsert(["added"], VECTORS[1:2])
        assert _soon(lambda: server.do("count") == 2)
        with pytest.raises(IndexLocked, match=rf"process {os.getpid()};"):
            server.do("delete", ["served"])
    server.do("delete", ["served"])
    assert server.do("count") == 1


@pytest.mark.slow
def test_readers_never_fail_while_another_process_writes_and_compacts(
    tmp_path: Path, remote: Callable[..., Remote]
) -> None:
    """Answers are of one moment: every batch is seen whole, with attributes that fit the filter."""
    writer = remote("w", seal_rows=60)
    ended = threading.Event()
    failures: list[BaseException] = []

    def read() -> None:
        try:
            with open_local(tmp_path / "index", "r") as reader:
                while not ended.is_set():
                    assert reader.count() % 10 == 0
                    (hits,) = reader.search(VECTORS[:1], 20, where="n >= 0")
                    assert all(hit.attributes["n"] >= 0 for hit in hits)  # pyright: ignore
                    assert sum(len(rows.ids) for rows in reader.scan()) % 10 == 0
                    reader.stats()
                    reader.get(["0"], vectors=True)
        except BaseException as error:
            failures.append(error)

    readers = [threading.Thread(target=read) for _ in range(2)]
    writer.do("upsert", [str(n) for n in range(10)], VECTORS[:10], [{"n": 0}] * 10)
    for thread in readers:
        thread.start()
    generator = np.random.default_rng(0)
    for number in range(60):
        rows = np.arange(10) + 10 * generator.integers(40)
        ids = [str(row) for row in rows]
        match number % 4:
            case 0 | 1:
                writer.do("upsert", ids, VECTORS[rows], [{"n": number}] * 10)
            case 2:
                writer.do("update", ids, [{"n": -number}] * 10)
            case _:
                writer.do("delete", ids)
    ended.set()
    for thread in readers:
        thread.join()
    assert failures == []


@pytest.mark.slow
@pytest.mark.parametrize("kernel", ["exact", "ivf"])
def test_threads_write_search_and_compact_at_once_and_nothing_is_lost(tmp_path: Path, kernel: str) -> None:
    held: list[dict[str, int]] = [{} for _ in range(3)]
    failures: list[BaseException] = []
    writing = threading.Event()

    def guarded(act: Callable[[], None]) -> threading.Thread:
        def run() -> None:
            try:
                act()
            except BaseException as error:
                failures.append(error)

        return threading.Thread(target=run)

    with open_local(tmp_path / "index", dimension=DIMENSION, kernel=kernel, seal_rows=64) as index:

        def write(thread: int) -> None:
            mine, generator = held[thread], np.random.default_rng(thread)
            for version in range(60):
                numbers = generator.choice(60, 8, replace=False)
                ids = [f"{thread}/{number}" for number in numbers]
                match generator.integers(4):
                    case 0 | 1:
                        index.upsert(ids, VECTORS[numbers + 60 * thread], [{"version": version}] * 8)
                        mine.update(dict.fromkeys(ids, version))
                    case 2:
                        assert index.update(ids, [{"version": version}] * 8) == len(mine.keys() & set(ids))
                        mine.update({id: version for id in ids if id in mine})
                    case _:
                        assert index.delete(ids) == len(mine.keys() & set(ids))
                        for id in ids:
                            mine.pop(id, None)

        def search() -> None:
            while not writing.is_set():
                (hits,) = index.search(VECTORS[:1], 10, where="version >= 30")
                assert all(hit.attributes["version"] >= 30 for hit in hits)  # pyright: ignore
                index.get(["0/1", "1/1"], vectors=True)
                index.stats()

        def compact() -> None:
            while not writing.is_set():
                index.compact(full=True)
                time.sleep(0.02)

        index.upsert(["first"], VECTORS[-1:], [{"version": 0}])
        writers = [guarded(lambda thread=thread: write(thread)) for thread in range(3)]
        others = [guarded(search), guarded(search), guarded(compact)]
        for thread in (*writers, *others):
            thread.start()
        for thread in writers:
            thread.join()
        writing.set()
        for thread in others:
            thread.join()
        assert failures == []
        expected = {id: version for mine in held for id, version in mine.items()} | {"first": 0}
        assert _versions(index) == expected
    with open_local(tmp_path / "index", background=False) as index:
        assert _versions(index) == expected
        assert index.verify() == []


def _versions(index: Any) -> dict[str, int]:
    return {
        id: attributes["version"]
        for rows in index.scan()
        for id, attributes in zip(rows.ids, rows.attributes, strict=True)
    }


def test_closing_waits_for_compaction_and_a_closed_index_takes_no_writes(tmp_path: Path) -> None:
    index = open_local(tmp_path / "index", dimension=DIMENSION, kernel="ivf", seal_rows=20)
    for n in range(0, 400, 40):
        index.upsert([str(row) for row in range(n, n + 40)], VECTORS[n : n + 40])
    scan = index.scan(batch=10)
    next(scan)
    index.close()
    index.close()
    assert sum(len(rows.ids) for rows in scan) == 390
    with pytest.raises(IndexFormatError, match="was closed"):
        index.upsert(["late"], VECTORS[:1])
    with open_local(tmp_path / "index", background=False) as again:
        assert again.count() == 400
        assert again.verify() == []


@pytest.mark.slow
def test_the_baseline_kernel_gives_the_same_answers_as_the_widest(tmp_path: Path) -> None:
    for kernel in ("exact", "hnsw", "ivf"):
        with open_local(tmp_path / kernel, dimension=DIMENSION, kernel=kernel, background=False) as index:
            index.upsert([str(n) for n in range(400)], VECTORS, [{"n": n} for n in range(400)])
            index.compact(full=True)
    program = (
        "import sys, numpy as np; from lykeion.search.index import open_index\n"
        "for kernel in ('exact', 'hnsw', 'ivf'):\n"
        "    index = open_index(f'{sys.argv[1]}/{kernel}')\n"
        "    queries = np.random.default_rng(0).normal(size=(50, 8)).astype(np.float32)\n"
        "    for where in (None, 'n < 200'):\n"
        "        for hits in index.search(queries, 10, where=where, attributes=False):\n"
        "            print(*[f'{hit.id}:{hit.score:.3f}' for hit in hits])\n"
    )

    def answers(**environment: str) -> str:
        return subprocess.run(
            [sys.executable, "-c", program, str(tmp_path)],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    widest, baseline = answers().split(), answers(LYKEION_KERNEL="baseline").split()
    assert len(widest) == 3 * 2 * 50 * 10
    assert [answer.split(":")[0] for answer in widest] == [answer.split(":")[0] for answer in baseline]
    assert _scores(widest) == pytest.approx(_scores(baseline), abs=2e-3)


def _scores(answers: list[str]) -> list[float]:
    return [float(answer.split(":")[1]) for answer in answers]
