"""Rollouts of a namespace are carried by one process at a time, and for one fleet."""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, NoReturn

import pytest

from lykeion.control import Key, ResourceStore, SqliteStore
from lykeion.core import Refused
from lykeion.delivery.device_service import FLEET_KINDS, FileTurn, RolloutTurn, open_fleet
from lykeion.delivery.device_service.fleet_resources import OneNamespace, OtherNamespace
from lykeion.delivery.device_service.fleet_server import controller_runs
from lykeion.delivery.device_service.rollout_turn import OtherFleet, carry_in_turn, process_name
from lykeion.delivery.device_service.store import fleet_id
from lykeion.delivery.rollouts import ROLLOUT, EarlierRollout, OfferedVersion, RolloutSpec, VersionOffer, Wave
from lykeion.platform.kubernetes.operator.lease_election import LeaseElection, LeaseTimes
from tests.control.lamps import KINDS
from tests.control.store_behaviour import PROMISES, a_listing_is_of_one_namespace_or_of_all
from tests.platform.kubernetes.memory_cluster import MemoryCluster

TIMES = LeaseTimes(duration_s=1, deadline_s=0.6, retry_s=0.05)


class Server:
    """A process of a fleet: whether it carries, and whether it may tell devices anything."""

    def __init__(self, turn: RolloutTurn, fleet: str) -> None:
        self.turn, self.known, self.carries = turn, asyncio.Event(), False
        self.task = asyncio.ensure_future(carry_in_turn(turn, fleet, self.known, [self._work]))

    async def _work(self) -> None:
        self.carries = True
        try:
            await asyncio.Event().wait()
        finally:
            self.carries = False

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not holds():
            await asyncio.sleep(0.01)


Turns = Callable[[str], Awaitable[RolloutTurn]]


def with_turns(kind: str, use: Callable[[Turns], Awaitable[None]]) -> None:
    """``use`` gets what opens the turn for a process of a fleet: a lock of this machine, or a Lease."""

    async def run() -> None:
        async with AsyncExitStack() as stack:
            place = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "fleets" / "shop.lock"
            cluster: Any = MemoryCluster("here")

            async def open_turn(fleet: str) -> RolloutTurn:
                if kind == "lock":
                    return await stack.enter_async_context(FileTurn(place, process_name(fleet)))
                return LeaseElection(cluster, "shop", "lykeion-fleet", process_name(fleet), TIMES)

            await use(open_turn)

    asyncio.run(asyncio.wait_for(run(), 60))


@pytest.mark.parametrize("kind", ["lock", "lease"])
def test_of_two_servers_of_one_fleet_one_carries_and_the_other_follows_it(kind: str) -> None:
    async def use(turns: Turns) -> None:
        one = Server(await turns("a"), "a")
        await until(lambda: one.carries)
        two = Server(await turns("a"), "a")
        await until(two.known.is_set)  # it serves devices meanwhile
        assert (one.carries, two.carries) == (True, False)
        await one.stop()
        await until(lambda: two.carries)
        assert not one.carries
        await two.stop()

    with_turns(kind, use)


@pytest.mark.parametrize("kind", ["lock", "lease"])
def test_a_server_of_another_fleet_is_refused_and_tells_no_device_anything(kind: str) -> None:
    async def use(turns: Turns) -> None:
        one = Server(await turns("a"), "a")
        await until(lambda: one.carries)
        other = Server(await turns("b"), "b")
        with pytest.raises(OtherFleet, match="a namespace of its own: --rollouts-namespace"):
            await asyncio.wait_for(other.task, 30)
        assert not other.known.is_set()
        assert one.carries
        await one.stop()

    with_turns(kind, use)


@pytest.mark.parametrize("kind", ["lock", "lease"])
def test_a_fleet_that_is_not_served_any_more_refuses_nobody(kind: str) -> None:
    async def use(turns: Turns) -> None:
        one = Server(await turns("a"), "a")
        await until(lambda: one.carries)
        if kind == "lock":
            await one.stop()  # the system releases it, and the name stays
        else:
            one.turn.release = _nothing  # type: ignore[method-assign] # as if it was killed
            await one.stop()
        other = Server(await turns("b"), "b")
        await until(lambda: other.carries)
        await other.stop()

    with_turns(kind, use)


async def _nothing() -> None: ...


class LostTurn:
    """It is lost once when it is told to."""

    def __init__(self) -> None:
        self.holder, self.holder_lives, self.lose, self.acquired = "", False, asyncio.Event(), 0

    async def acquire(self) -> None:
        self.acquired += 1

    async def keep(self) -> NoReturn:
        await self.lose.wait()
        self.lose.clear()
        raise Refused("the lease is lost")

    async def release(self) -> None: ...


def test_a_rollout_whose_step_was_cut_off_by_the_end_of_a_turn_is_carried_in_the_next(tmp_path: Path) -> None:
    async def use() -> None:
        store, turn, asked = SqliteStore(tmp_path / "state.db", FLEET_KINDS), LostTurn(), 0

        async def offer(lookup: OfferedVersion) -> VersionOffer:
            nonlocal asked
            asked += 1
            if asked == 1:
                await asyncio.Event().wait()
            return VersionOffer(2, "sha256:2")

        async def earlier(lookup: EarlierRollout) -> str:
            return ""

        answers = {OfferedVersion: offer, EarlierRollout: earlier}
        made = await store.create(ROLLOUT.new("next", RolloutSpec("shoes", "v2", (Wave(percent=100),))))
        known = asyncio.Event()
        task = asyncio.ensure_future(carry_in_turn(turn, "a", known, controller_runs(store, answers, {})))
        await until(lambda: asked == 1)
        turn.lose.set()
        async with asyncio.timeout(30):
            while not (await store.get(made.key)).status.wave:
                await asyncio.sleep(0.02)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await store.close()

    asyncio.run(use())


def test_work_ends_with_the_turn_and_begins_again_with_the_next() -> None:
    async def use() -> None:
        turn = LostTurn()
        server = Server(turn, "a")
        await until(lambda: server.carries)
        turn.lose.set()
        await until(lambda: turn.acquired == 2 and server.carries)
        await server.stop()
        assert not server.carries

    asyncio.run(use())


def test_what_ends_the_work_ends_the_server() -> None:
    async def fails() -> None:
        raise ZeroDivisionError

    async def use(turns: Turns) -> None:
        with pytest.raises(ZeroDivisionError):
            await carry_in_turn(await turns("a"), "a", asyncio.Event(), [fails])

    with_turns("lock", use)


def test_a_fleet_has_one_name_for_all_servers_of_its_store(tmp_path: Path) -> None:
    stores = [open_fleet(tmp_path / each) for each in ("a", "a", "b")]
    names = [fleet_id(each) for each in stores]
    assert names[0] == names[1] != names[2]
    assert fleet_id(stores[0]) == names[0]
    for each in stores:
        each.close()


@pytest.mark.parametrize(
    "behaviour", [each for each in PROMISES if each is not a_listing_is_of_one_namespace_or_of_all]
)
def test_one_namespace_of_a_store_is_a_store(
    behaviour: Callable[[ResourceStore], Awaitable[None]], tmp_path: Path
) -> None:
    async def use() -> None:
        store = SqliteStore(tmp_path / "state.db", KINDS)
        try:
            await behaviour(OneNamespace(store, "default"))
        finally:
            await store.close()

    asyncio.run(use())


def test_rollouts_of_another_namespace_are_neither_seen_nor_taken(tmp_path: Path) -> None:
    async def use() -> None:
        whole = SqliteStore(tmp_path / "state.db", {ROLLOUT.name: ROLLOUT})
        shop, spec = OneNamespace(whole, "shop"), RolloutSpec("shoes", "v2", (Wave(percent=100),))
        listing = await shop.listing(ROLLOUT)
        watch = shop.watch(ROLLOUT, listing.version)
        try:
            await whole.create(ROLLOUT.new("next", spec, namespace="other"))
            ours = await shop.create(ROLLOUT.new("ours", spec, namespace="shop"))
            assert (await asyncio.wait_for(anext(watch), 30)).resource == ours
            assert (await shop.listing(ROLLOUT)).items == (ours,)
            for call in (
                shop.listing(ROLLOUT, "other"),
                shop.get(Key("Rollout", "other", "next")),
                shop.create(ROLLOUT.new("more", spec, namespace="other")),
                shop.delete(Key("Rollout", "other", "next")),
            ):
                with pytest.raises(OtherNamespace, match="are in the namespace shop, not in other; add -n shop"):
                    await call
            assert len((await whole.listing(ROLLOUT)).items) == 2
        finally:
            await watch.aclose()
            await whole.close()

    asyncio.run(use())
