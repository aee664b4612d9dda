"""A platform of its own in a directory: what shards and idle resources cost it."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from lykeion.control import AnyResource
from lykeion.platform import KINDS, connect, is_up, wait_for
from lykeion.platform.resources.programs.program import Program
from lykeion.platform.resources.runs.batch_execution import BATCH_EXECUTION, BatchExecutionSpec, Shards
from lykeion.resource_api import SocketStore

T = TypeVar("T")

_UP = (sys.executable, "-c", "from lykeion.cli import main; main()", "up")
_TICKS = os.sysconf("SC_CLK_TCK")
_LIMIT_S = 3600
_AT_A_TIME = 16


@dataclass(frozen=True)
class ShardsRun:
    """``cpu_s`` is the platform's own, ``programs_cpu_s`` that of the processes that it started."""

    shards: int
    seconds: float
    cpu_s: float
    programs_cpu_s: float


@dataclass(frozen=True)
class ObjectsRun:
    """``restart_s``: from the start after a kill until it answers, and until a new batch has run to its end."""

    objects: int
    answers_s: float
    works_s: float
    idle_share: float
    """Of one core."""


def run_shards(home: Path, shards: int, parallelism: int) -> ShardsRun:
    """One batch of programs that do nothing."""
    with _platform(home) as process:
        before, begin = _cpu(process.pid), time.perf_counter()
        _with_store(home, lambda store: _run_batch(store, "shards", shards, parallelism))
        seconds, after = time.perf_counter() - begin, _cpu(process.pid)
    return ShardsRun(shards, seconds, after[0] - before[0], after[1] - before[1])


def keep_objects(home: Path, objects: int, idle_s: float) -> ObjectsRun:
    """So many suspended batches, each with its Work, while the platform is killed, starts again, and has rest."""
    with _platform(home):
        _with_store(home, lambda store: _create(store, objects))
    begin = time.perf_counter()
    with _platform(home) as process:
        answers_s = time.perf_counter() - begin
        _with_store(home, lambda store: _run_batch(store, "after", 1, 1))
        works_s = time.perf_counter() - begin
        before = _cpu(process.pid)
        time.sleep(idle_s)
        used = _cpu(process.pid)[0] - before[0]
    return ObjectsRun(objects, answers_s, works_s, used / idle_s)


@contextmanager
def _platform(home: Path) -> Generator[subprocess.Popen[bytes]]:
    """Running, and killed at the end."""
    environment = {**os.environ, "LYKEION_HOME": str(home)}
    with (home / "up.log").open("ab") as log:
        process = subprocess.Popen(_UP, env=environment, cwd=home, stdout=log, stderr=log)
    try:
        while not asyncio.run(is_up(home / "platform", KINDS)):
            if process.poll() is not None:
                raise RuntimeError((home / "up.log").read_text())
            time.sleep(0.02)
        yield process
    finally:
        process.kill()
        process.wait()


def _cpu(pid: int) -> tuple[float, float]:
    """Seconds of a process's own, and of its ended children."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    user, system, children_user, children_system = (int(each) / _TICKS for each in fields[11:15])
    return user + system, children_user + children_system


def _with_store(home: Path, work: Callable[[SocketStore], Awaitable[T]]) -> T:
    async def connected() -> T:
        async with connect(KINDS, home / "platform") as store:
            return await work(store)

    return asyncio.run(connected())


async def _run_batch(store: SocketStore, name: str, shards: int, parallelism: int) -> None:
    made = await store.create(_batch(name, shards, parallelism))
    await wait_for(store, made.key, "condition=Complete", _LIMIT_S)


async def _create(store: SocketStore, objects: int) -> None:
    """Returns when the last one has been looked at."""
    for first in range(0, objects, _AT_A_TIME):
        names = (f"b-{number}" for number in range(first, min(first + _AT_A_TIME, objects)))
        await asyncio.gather(*(store.create(_batch(name, 4, 1, suspend=True)) for name in names))
    await wait_for(store, _batch(f"b-{objects - 1}", 1, 1).key, "condition=Suspended", _LIMIT_S)


def _batch(name: str, shards: int, parallelism: int, *, suspend: bool = False) -> AnyResource:
    spec = BatchExecutionSpec(
        program=Program(command=("true",)), shards=Shards(count=shards), parallelism=parallelism, suspend=suspend
    )
    return BATCH_EXECUTION.new(name, spec)
