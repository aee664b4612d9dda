"""Kill a platform at each of its writes and starts, one after the other; each time another finishes the work.

    python -m tests.e2e.kill_points DIRECTORY

Prints a line a point: its number, what it was, and how often each shard ran. Each run is a fork of this process, so
that a run takes as long as its programs and not as its imports.
"""

import asyncio
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lykeion.control import SqliteStore
from lykeion.platform import CONTROLLERS, KINDS, LocalPlatform, this_machine
from lykeion.platform.local import attempt_directory
from lykeion.platform.resources.batch_execution import BATCH_EXECUTION, BatchExecutionSpec, Shards
from lykeion.platform.resources.program import Program

SHARDS = 2
KEY = BATCH_EXECUTION.new("b", BatchExecutionSpec(program=Program(command=("a",)), shards=Shards(count=1))).key


class Points:
    """Counts what is done to disk and to processes; ends this process with SIGKILL at number ``kill_at``."""

    def __init__(self, kill_at: int, log: Path) -> None:
        self.number, self._kill_at, self._log = 0, kill_at, log

    def around(self, name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **options: Any) -> Any:
            self._pass(f"before {name}")
            result = work(*args, **options)
            self._pass(f"after {name}")
            return result

        return counted

    def around_writes(self) -> None:
        writing = SqliteStore._writing

        async def counted(store: Any, work: Any, *args: Any) -> Any:
            name = f"store {work.__name__.strip('_')}"
            self._pass(f"before {name}")
            result = await writing(store, work, *args)
            self._pass(f"after {name}")
            return result

        SqliteStore._writing = counted  # type: ignore[method-assign]
        attempt_directory.write_atomically = self.around("file", attempt_directory.write_atomically)
        subprocess.Popen = self.around("start", subprocess.Popen)  # type: ignore[misc, assignment]

    def _pass(self, name: str) -> None:
        self.number += 1
        if self.number == self._kill_at:
            self._log.write_text(name)
            os.kill(os.getpid(), signal.SIGKILL)


async def _prepare(home: Path) -> None:
    store = SqliteStore(home / "state.db", KINDS)
    script = f"echo $LYKEION_SHARD_INDEX >> {home}/ran"
    spec = BatchExecutionSpec(
        program=Program(command=("sh", "-c", script)), shards=Shards(count=SHARDS), parallelism=SHARDS
    )
    await store.create(BATCH_EXECUTION.new(KEY.name, spec))
    await store.close()


async def _carry_out(home: Path) -> None:
    """Run the platform until the batch has finished."""
    platform = LocalPlatform(home, KINDS, CONTROLLERS, this_machine())
    running = asyncio.create_task(platform.run())
    while (await platform.store.get(KEY)).status.completion_time is None and not running.done():
        await asyncio.sleep(0.02)
    os.kill(os.getpid(), signal.SIGTERM)
    await running


def _fork(work: Callable[[], None]) -> int:
    """The exit status of a child that does the work."""
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    try:
        work()
        os._exit(0)
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        os._exit(1)


def main(root: Path) -> int:
    for number in range(1, 1000):
        home = root / str(number)
        home.mkdir()

        def first(home: Path = home, number: int = number) -> None:
            Points(number, home / "point").around_writes()
            asyncio.run(_carry_out(home))

        def rest(home: Path = home) -> None:
            asyncio.run(_carry_out(home))

        if _fork(lambda home=home: asyncio.run(_prepare(home))):
            return 1
        ended = _fork(first)
        if ended == 0:
            print(f"{number - 1} points", flush=True)
            return 0
        if ended != -signal.SIGKILL or _fork(rest):
            return 1
        ran = Counter((home / "ran").read_text().split())
        print(
            number, (home / "point").read_text(), *(ran[str(index)] for index in range(SHARDS)), sep="\t", flush=True
        )
    return 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
