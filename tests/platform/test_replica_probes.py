"""Replicas are asked whether they are ready, and once they were, whether they are alive."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from lykeion.platform.local.processes.attempt import Attempt
from lykeion.platform.local.supervision.replica_probes import Checks, ReplicaProbes
from lykeion.platform.resources.plain_kinds.replica_group import Liveness, Readiness

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
CHECKS = Checks(
    Readiness(path="/readyz", period_seconds=0), Liveness(path="/livez", period_seconds=0, failure_threshold=3)
)


class Replica:
    """A server with a status for each path; ``asked`` counts its requests."""

    def __init__(self) -> None:
        self.answers = {"/readyz": 503, "/livez": 503}
        self.asked = dict.fromkeys(self.answers, 0)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
        self.asked[path] += 1
        writer.write(f"HTTP/1.1 {self.answers[path]} As asked\r\n\r\n".encode())
        writer.close()

    @asynccontextmanager
    async def listening(self) -> AsyncGenerator[Attempt]:
        async with await asyncio.start_server(self.answer, "127.0.0.1") as server:
            yield Attempt(0, 0, NOON, port=server.sockets[0].getsockname()[1])


class Watch:
    def __init__(self) -> None:
        self.changes: asyncio.Queue[str] = asyncio.Queue()
        self.probes = ReplicaProbes(lambda: NOON, self.changes.put_nowait)

    async def next_change(self) -> None:
        assert await asyncio.wait_for(self.changes.get(), 30) == "uid"


async def asked_more(replica: Replica, path: str) -> None:
    wanted = replica.asked[path] + 10
    async with asyncio.timeout(30):
        while replica.asked[path] < wanted:
            await asyncio.sleep(0)


def test_a_replica_is_restarted_for_liveness_only_once_it_has_been_ready() -> None:
    async def checked() -> None:
        replica, watch = Replica(), Watch()
        async with replica.listening() as attempt:
            watch.probes.watch("uid", [attempt], CHECKS)
            await asked_more(replica, "/readyz")
            assert watch.probes.is_live("uid", attempt), "it is still starting"
            assert replica.asked["/livez"] == 0
            assert watch.probes.starting_since("uid", attempt) == NOON
            replica.answers = {"/readyz": 200, "/livez": 200}
            await watch.next_change()
            assert watch.probes.is_ready("uid", attempt)
            await asked_more(replica, "/livez")
            assert watch.probes.is_live("uid", attempt)
            replica.answers["/livez"] = 500
            await watch.next_change()
            assert not watch.probes.is_live("uid", attempt)
            watch.probes.watch("uid", [], CHECKS)

    asyncio.run(checked())


def test_a_replica_of_an_earlier_platform_is_checked_at_once() -> None:
    async def checked() -> None:
        replica, watch = Replica(), Watch()
        replica.answers["/readyz"] = 200
        async with replica.listening() as attempt:
            watch.probes.remember("uid", attempt)
            watch.probes.watch("uid", [attempt], CHECKS)
            await watch.next_change()
            assert replica.asked["/livez"] == 3, "as many as the threshold"
            assert (watch.probes.is_ready("uid", attempt), watch.probes.is_live("uid", attempt)) == (True, False)
            watch.probes.watch("uid", [], CHECKS)

    asyncio.run(checked())
