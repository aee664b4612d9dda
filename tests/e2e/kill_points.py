"""Kill a platform at each of its writes and starts, one after the other; each time another finishes the work.

    python -m tests.e2e.kill_points DIRECTORY

Prints a line a point: its number, what it was, how often each shard of a batch and each step of a pipeline ran, and
how many processes serve in the end of a group of one replica, and as the proxy. A point is the n-th time of one
thing, since threads and processes change in which order different things come. Each run is a fork of this process, so
that a run takes as long as its programs and not as its imports.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import count
from pathlib import Path
from typing import Any

from msgspec import structs

from lykeion.control import Key, SqliteStore
from lykeion.platform import CONTROLLERS, KINDS, LocalPlatform, this_machine
from lykeion.platform.local.processes import attempt_directory
from lykeion.platform.local.processes.process_identity import process_start
from lykeion.platform.local.proxy import proxy_settings, route_table
from lykeion.platform.local.proxy.proxy_settings import ProxySettings
from lykeion.platform.resources.pipelines.step_pipeline import PIPELINE_RUN, PipelineRunSpec, PipelineStep
from lykeion.platform.resources.plain_kinds.replica_group import REPLICA_GROUP, ReplicaGroupSpec
from lykeion.platform.resources.plain_kinds.route import ROUTE, RouteSpec, WeightedGroup
from lykeion.platform.resources.programs.program import Program
from lykeion.platform.resources.programs.program_volume import VOLUME, VolumeMount, VolumeSpec
from lykeion.platform.resources.runs.batch_execution import BATCH_EXECUTION, BatchExecutionSpec, Shards

SHARDS = 2
REPLICA = """
import os, socket
listener = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
with open("replicas", "a") as file:
    print(os.getpid(), file=file)
while True:
    listener.accept()[0].close()
"""
KEY = BATCH_EXECUTION.new("b", BatchExecutionSpec(program=Program(command=("a",)), shards=Shards(count=1))).key
STEPS = range(SHARDS, SHARDS + 2)
RUN = Key(PIPELINE_RUN.name, KEY.namespace, "r")
GROUP = Key(REPLICA_GROUP.name, KEY.namespace, "g")


class Points:
    """Counts what is done to disk and to processes; kills this process at ``kill_at``: what, and which time."""

    def __init__(self, kill_at: tuple[str, int] | None = None) -> None:
        self.times: Counter[str] = Counter()
        self._kill_at = kill_at

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
        route_table.write_atomically = self.around("table", route_table.write_atomically)
        proxy_settings.write_atomically = self.around("settings", proxy_settings.write_atomically)
        subprocess.Popen = self.around("start", subprocess.Popen)  # type: ignore[misc, assignment]

    def _pass(self, name: str) -> None:
        self.times[name] += 1
        if (name, self.times[name]) == self._kill_at:
            os.kill(os.getpid(), signal.SIGKILL)


async def _prepare(home: Path) -> None:
    store = SqliteStore(home / "state.db", KINDS)
    script = f"echo $LYKEION_SHARD_INDEX >> {home}/ran"
    spec = BatchExecutionSpec(
        program=Program(command=("sh", "-c", script)), shards=Shards(count=SHARDS), parallelism=SHARDS
    )
    await store.create(BATCH_EXECUTION.new(KEY.name, spec))
    steps = [Program(command=("sh", "-c", f"echo {number} >> {home}/ran")) for number in STEPS]
    first, last = (PipelineStep(name=f"s{number}", program=each) for number, each in zip(STEPS, steps, strict=True))
    after = structs.replace(last, needs=(first.name,))
    await store.create(PIPELINE_RUN.new(RUN.name, PipelineRunSpec(steps=(after, first))))
    await store.create(VOLUME.new("v", VolumeSpec()))
    program = Program(command=(sys.executable, "-S", "-c", REPLICA), working_dir=str(home))
    mounts = (VolumeMount(volume="v", variable="DATA"),)
    await store.create(REPLICA_GROUP.new("g", ReplicaGroupSpec(program=program, mounts=mounts)))
    await store.create(ROUTE.new("r", RouteSpec(service="s", groups=(WeightedGroup(group="g", weight=1),))))
    await store.close()


async def _carry_out(home: Path) -> None:
    """Run the platform until the batch and the run have finished, and the proxy passes requests on to the group."""
    platform = LocalPlatform(home, KINDS, CONTROLLERS, this_machine())
    ready = asyncio.Event()
    running = asyncio.create_task(platform.run(lambda path: ready.set()))

    async def finished() -> bool:
        if not ready.is_set():
            return False
        ends = [(await platform.store.get(key)).status.completion_time for key in (KEY, RUN)]
        if None in ends:
            return False
        ready_again = (await platform.store.get(GROUP)).status.ready == 1 and _count_alive(_replicas(home))
        return bool(ready_again) and await _is_served(home)  # a status may be that of the platform before

    while not (running.done() or await finished()):
        await asyncio.sleep(0.02)
    serving = [_count_alive(_replicas(home)), _count_alive(_proxies(home))]
    (home / "serving").write_text(json.dumps(serving))
    os.kill(os.getpid(), signal.SIGTERM)
    await running


async def _is_served(home: Path) -> bool:
    """Whether the proxy gets a response from the replica: it closes the connection, which the proxy reports."""
    settings = ProxySettings.read(home / "proxy")
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", settings.port if settings else 0)
        writer.write(b"GET /services/default/s/ HTTP/1.0\r\n\r\n")
        answer = await reader.read()
        writer.close()
    except OSError:
        return False
    return b"can be reached" in answer


def _replicas(home: Path) -> list[str]:
    return (home / "replicas").read_text().split()


def _proxies(home: Path) -> list[str]:
    started = (home / "work").glob("proxy-*/*/started")
    return [pid for each in started for pid in each.read_text().split()[:1]]  # empty if it was never started


def _count_alive(pids: Iterable[str]) -> int:
    """Of these processes those that run."""
    return sum(bool(process_start(int(pid))) for pid in pids)


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
    counted = _made(root, "counted")
    if _fork(lambda: _count(counted)):
        return 1
    times = json.loads((counted / "times").read_text())
    killed, number = 0, count()
    for name, time in ((name, time) for name, most in sorted(times.items()) for time in range(1, most + 1)):
        home = _made(root, str(next(number)))  # a short path: the platform's socket is in it
        ended = _fork(lambda home=home, at=(name, time): _carry_out_until(home, at))
        if ended == 0:  # it was done less often this time
            continue
        if ended != -signal.SIGKILL or _fork(lambda home=home: asyncio.run(_carry_out(home))):
            return 1
        killed += 1
        ran = Counter((home / "ran").read_text().split())
        serving = json.loads((home / "serving").read_text())
        print(killed, name, *(ran[str(index)] for index in range(STEPS.stop)), *serving, sep="\t", flush=True)
    print(f"{killed} points", flush=True)
    return 0


def _made(root: Path, name: str) -> Path:
    """A home with a batch that nobody has begun."""
    home = root / name
    home.mkdir()
    assert _fork(lambda: asyncio.run(_prepare(home))) == 0
    return home


def _count(home: Path) -> None:
    points = Points()
    points.around_writes()
    asyncio.run(_carry_out(home))
    (home / "times").write_text(json.dumps(points.times))


def _carry_out_until(home: Path, kill_at: tuple[str, int]) -> None:
    Points(kill_at).around_writes()
    asyncio.run(_carry_out(home))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
