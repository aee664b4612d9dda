"""One operator at a time, by a Lease on a real API server."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from lykeion.platform.kubernetes.api.cluster_client import ClusterClient
from lykeion.platform.kubernetes.contexts.kubeconfig_contexts import cluster_access
from lykeion.platform.kubernetes.operator.lease_election import LeaseElection, LeaseLost, LeaseTimes

from .kubernetes_cluster import Cluster

TIMES = LeaseTimes(duration_s=2, deadline_s=1.0, retry_s=0.1)


@pytest.fixture(autouse=True)
def kubeconfig(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig))


def _run(use: Callable[[Callable[[str], LeaseElection]], Awaitable[None]], namespace: str) -> None:
    async def with_client() -> None:
        client = ClusterClient(cluster_access())
        try:
            await use(lambda name: LeaseElection(client, namespace, "operator", name, TIMES))
        finally:
            await client.close()

    asyncio.run(asyncio.wait_for(with_client(), 60))


def test_one_has_the_lease_and_the_next_takes_it_when_it_is_released(cluster: Cluster, namespace: str) -> None:
    async def use(election: Callable[[str], LeaseElection]) -> None:
        one, two = election("one"), election("two")
        await one.acquire()
        assert one.holds
        keeping, waiting = asyncio.create_task(one.keep()), asyncio.create_task(two.acquire())
        lease = cluster.api.get("Lease", "operator", namespace)
        assert lease["spec"]["holderIdentity"] == "one"
        done, _ = await asyncio.wait([keeping, waiting], timeout=2 * TIMES.duration_s)
        assert not done
        assert not two.holds
        keeping.cancel()
        await one.release()
        assert not one.holds
        await waiting
        assert two.holds
        assert cluster.api.get("Lease", "operator", namespace)["spec"]["leaseTransitions"] == 1

    _run(use, namespace)


def test_what_is_not_renewed_is_taken_and_its_holder_knows_before_that(namespace: str) -> None:
    async def use(election: Callable[[str], LeaseElection]) -> None:
        one, two = election("one"), election("two")
        await one.acquire()
        held_together = []

        async def look() -> None:
            while not two.holds:
                await asyncio.sleep(0.01)
            held_together.append(one.holds)

        await asyncio.gather(two.acquire(), look())
        assert held_together == [False]
        with pytest.raises(LeaseLost, match=r"lease/operator in .* is lost"):
            await one.keep()

    _run(use, namespace)


def test_a_lease_that_another_has_taken_is_lost_at_once(cluster: Cluster, namespace: str) -> None:
    async def use(election: Callable[[str], LeaseElection]) -> None:
        one = election("one")
        await one.acquire()
        cluster.api.patch("Lease", "operator", namespace, {"spec": {"holderIdentity": "another"}})
        with pytest.raises(LeaseLost):
            await one.keep()
        assert not one.holds

    _run(use, namespace)


def test_of_many_that_ask_at_once_one_gets_it(namespace: str) -> None:
    async def use(election: Callable[[str], LeaseElection]) -> None:
        elections = [election(f"number-{number}") for number in range(6)]
        tasks = [asyncio.create_task(each.acquire()) for each in elections]
        await asyncio.wait(tasks, return_when="FIRST_COMPLETED")
        await asyncio.sleep(0)
        assert sum(each.holds for each in elections) == 1
        for task in tasks:
            task.cancel()

    _run(use, namespace)
