"""Who waits for a Lease takes it as soon as it has run out, and not before."""

import asyncio
from typing import Any

from lykeion.control import NoSuchResource, Outdated
from lykeion.platform.kubernetes.operator.lease_election import LeaseElection, LeaseTimes

Lease = dict[str, Any]
SELDOM = LeaseTimes(duration_s=1, deadline_s=0.5, retry_s=100_000.0)


class OneLease:
    """An API server with one Lease; it counts how often that is read."""

    def __init__(self, **spec: Any) -> None:
        self.lease: Lease | None = {"metadata": {"resourceVersion": "1"}, "spec": spec} if spec else None
        self.reads = 0

    async def get(self, path: str, what: str) -> Lease:
        self.reads += 1
        if self.lease is None:
            raise NoSuchResource(what)
        return self.lease

    async def post(self, path: str, what: str, document: Lease) -> Lease:
        return self._write(document, 1)

    async def put(self, path: str, what: str, document: Lease) -> Lease:
        assert self.lease
        version = self.lease["metadata"]["resourceVersion"]
        if document["metadata"]["resourceVersion"] != version:
            raise Outdated(what)
        return self._write(document, int(version) + 1)

    def _write(self, document: Lease, version: int) -> Lease:
        self.lease = {**document, "metadata": {**document["metadata"], "resourceVersion": str(version)}}
        return self.lease


def _election(server: OneLease, times: LeaseTimes) -> LeaseElection:
    client: Any = server
    return LeaseElection(client, "lykeion-system", "operator", "two", times)


def _acquired(server: OneLease, times: LeaseTimes) -> LeaseElection:
    election = _election(server, times)
    asyncio.run(asyncio.wait_for(election.acquire(), 60))
    return election


def test_a_lease_whose_holder_is_dead_is_taken_when_it_runs_out_however_seldom_it_is_looked_at() -> None:
    server = OneLease(holderIdentity="one", leaseDurationSeconds=1)
    assert _acquired(server, SELDOM).holds
    assert server.lease
    assert server.lease["spec"]["holderIdentity"] == "two"
    assert server.reads == 2, "a second time when it has run out"


def test_one_that_nobody_has_is_taken_at_once() -> None:
    for server in (OneLease(), OneLease(holderIdentity="", leaseDurationSeconds=1000)):
        assert _acquired(server, SELDOM).holds
        assert server.reads == 1


def test_one_that_is_renewed_meanwhile_is_left_to_its_holder() -> None:
    async def main() -> None:
        server = OneLease(holderIdentity="one", leaseDurationSeconds=1)
        election = _election(server, LeaseTimes(duration_s=1, deadline_s=0.5, retry_s=0.01))
        waiting = asyncio.create_task(election.acquire())
        while server.reads < 150:
            await asyncio.sleep(0.01)
            assert server.lease
            server._write(server.lease, int(server.lease["metadata"]["resourceVersion"]) + 1)
            assert not waiting.done()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert not election.holds

    asyncio.run(asyncio.wait_for(main(), 60))
