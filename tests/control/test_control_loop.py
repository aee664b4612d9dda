"""The loop carries resources to what they should be, whatever happens meanwhile."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from lykeion.control import (
    AnyKind,
    AnyResource,
    Change,
    ControlLoop,
    Decision,
    Exists,
    Gone,
    Key,
    Lookup,
    Observed,
    Outdated,
    ResourceController,
    ResourceStoreError,
    SqliteStore,
    child_name,
    is_true,
)
from lykeion.core import Refused, Unavailable

from .lamps import BULB, KINDS, LAMP, LAMPS, BulbSpec, BulbStatus, LampStatus, lamp, reconcile_lamp


class TroubledStore(SqliteStore):
    """Loses each watch after ``changes`` changes, with an error; every ``refused``-th write is refused."""

    changes, refused = 1_000_000, 1_000_000
    error: Exception = Gone("gone")
    writes = refusals = 0

    async def watch(self, kind: AnyKind, since: str) -> AsyncGenerator[Change, None]:
        left = self.changes
        async for change in super().watch(kind, since):
            if not left:
                raise self.error
            left -= 1
            yield change

    async def _writing(self, work: Callable[..., Any], *args: Any) -> Any:
        self.writes += 1
        if self.writes % self.refused == 0:
            raise Outdated("another wrote first") if self.writes % 2 else ResourceStoreError("disk full")
        try:
            return await super()._writing(work, *args)
        except Exists:
            self.refusals += 1
            raise


async def _with_loop(
    store: SqliteStore, controller: ResourceController, use: Callable[[], Awaitable[None]], **options: Any
) -> None:
    loop = asyncio.create_task(ControlLoop(store, [controller], **options).run())
    try:
        await asyncio.wait_for(use(), 60)
    finally:
        loop.cancel()
        await asyncio.gather(loop, return_exceptions=True)
        await store.close()


async def _until(store: SqliteStore, kind: AnyKind, holds: Callable[[tuple[AnyResource, ...]], bool]) -> None:
    """Wait for the objects of a kind to be so."""
    listing = await store.listing(kind)
    watch = SqliteStore.watch(store, kind, listing.version)
    while not holds(listing.items):
        await anext(watch)
        listing = await store.listing(kind)


async def _light_all(store: SqliteStore) -> None:
    for bulb in (await store.listing(BULB)).items:
        if not bulb.status.lit:
            await SqliteStore.write_status(store, bulb.with_status(BulbStatus(lit=True)))


def _run(path: Path, use: Callable[[TroubledStore], Awaitable[None]], controller: ResourceController = LAMPS) -> None:
    async def main() -> None:
        store = TroubledStore(path / "state.db", KINDS)
        await _with_loop(store, controller, lambda: use(store))

    asyncio.run(main())


def _counts(bulbs: int) -> Callable[[tuple[AnyResource, ...]], bool]:
    return lambda items: len(items) == bulbs


def test_children_are_made_changed_and_deleted_as_the_spec_says(tmp_path: Path) -> None:
    async def use(store: TroubledStore) -> None:
        await store.apply(lamp(bulbs=3))
        await _until(store, BULB, _counts(3))
        await store.apply(lamp(bulbs=3, bulb=BulbSpec(watts=9)))
        await _until(store, BULB, lambda bulbs: all(each.spec.watts == 9 for each in bulbs))
        await store.apply(lamp(bulbs=1, bulb=BulbSpec(watts=9)))
        await _until(store, BULB, _counts(1))
        await store.delete(lamp().key)
        await _until(store, BULB, _counts(0))

    _run(tmp_path, use)


def test_the_status_follows_the_children(tmp_path: Path) -> None:
    async def use(store: TroubledStore) -> None:
        await store.apply(lamp(bulbs=2))
        await _until(store, BULB, _counts(2))
        await _light_all(store)
        await _until(store, LAMP, lambda lamps: is_true(lamps[0].status.conditions, "Ready"))
        assert [each.event.message for each in await store.events(lamp().key)][-1] == "2 of 2"

    _run(tmp_path, use)


@pytest.mark.parametrize("error", [Gone("gone"), ResourceStoreError("connection lost")])
def test_a_watch_that_ends_loses_no_change(tmp_path: Path, error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lykeion.control.following.AGAIN_AFTER_S", 0.01)

    async def use(store: TroubledStore) -> None:
        store.changes, store.error = 1, error
        for number in range(5):
            await store.apply(lamp(f"lamp-{number}", bulbs=2))
        await _until(store, BULB, _counts(10))
        await store.delete(lamp("lamp-0").key)
        await _light_all(store)
        await _until(store, LAMP, lambda lamps: sum(each.status.lit for each in lamps) == 8)

    _run(tmp_path, use)


def test_writes_that_are_refused_are_made_again_and_make_nothing_twice(tmp_path: Path) -> None:
    async def use(store: TroubledStore) -> None:
        for number in range(4):
            await super(TroubledStore, store).apply(lamp(f"lamp-{number}", bulbs=3))
        store.refused = 3
        await _until(store, BULB, _counts(12))
        store.refused = 1_000_000
        await _light_all(store)
        await _until(store, LAMP, lambda lamps: all(each.status.lit == 3 for each in lamps))
        assert len((await store.listing(BULB)).items) == 12

    _run(tmp_path, use)


def test_a_stranger_of_a_childs_name_is_left_alone_and_waited_out(tmp_path: Path) -> None:
    async def prepare() -> AnyResource:
        store = SqliteStore(tmp_path / "state.db", KINDS)
        made = await store.apply(lamp(bulbs=1))
        stranger = await store.create(BULB.new(child_name(made, "0"), BulbSpec(watts=77)))
        await store.close()
        return stranger

    stranger = asyncio.run(prepare())

    async def use(store: TroubledStore) -> None:
        while not store.refusals:
            await asyncio.sleep(0.01)
        assert await store.get(stranger.key) == stranger
        while not (told := await store.events(lamp().key)):
            await asyncio.sleep(0.01)
        assert (told[0].event.type, told[0].event.reason) == ("Warning", "Exists")
        assert "belongs to another" in told[0].event.message
        await store.delete(stranger.key)
        await _until(store, BULB, lambda bulbs: [each.spec.watts for each in bulbs] == [5])

    _run(tmp_path, use)


def test_a_controller_that_fails_on_one_resource_does_not_stop_the_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def reconcile(resource: AnyResource, observed: Observed, now: datetime) -> Decision:
        if resource.metadata.name == "broken":
            raise ZeroDivisionError
        return reconcile_lamp(resource, observed, now)

    async def use(store: TroubledStore) -> None:
        await store.apply(lamp("broken"))
        await store.apply(lamp(bulbs=3))
        await _until(store, BULB, _counts(3))

    with caplog.at_level(logging.ERROR, "lykeion.control"):
        _run(tmp_path, use, ResourceController(LAMP, (BULB,), reconcile))
    assert "lamp/broken: the controller failed" in caplog.text


def test_a_decision_reads_what_it_asked_for(tmp_path: Path) -> None:
    asked = (Key("Bulb", "default", "spare"), Key("Bulb", "default", "none"))

    def reconcile(resource: AnyResource, observed: Observed, now: datetime) -> Decision:
        if not observed.read:
            return Decision(resource.status, reads=asked)
        found = sum(each is not None for each in observed.read.values())
        return Decision(LampStatus(lit=found + len(observed.read)))

    async def use(store: TroubledStore) -> None:
        await store.create(BULB.new("spare", BulbSpec()))
        await store.apply(lamp())
        await _until(store, LAMP, lambda lamps: lamps[0].status.lit == 3)

    _run(tmp_path, use, ResourceController(LAMP, (BULB,), reconcile))


def test_a_resource_may_ask_to_be_deleted_and_to_be_looked_at_later(tmp_path: Path) -> None:
    calls: list[datetime] = []

    def reconcile(resource: AnyResource, observed: Observed, now: datetime) -> Decision:
        calls.append(now)
        return Decision(resource.status, requeue_after_s=0.01, delete=len(calls) > 3)

    async def use(store: TroubledStore) -> None:
        await store.apply(lamp())
        await _until(store, LAMP, _counts(0))

    _run(tmp_path, use, ResourceController(LAMP, (BULB,), reconcile))
    assert len(calls) == 4


@dataclass(frozen=True)
class Dawn(Lookup):
    day: int


async def _dawn(asked: Dawn) -> int:
    if asked.day > 1:
        raise Unavailable("the almanac ends")
    return 6


def test_lookups_are_answered_in_rounds_and_an_error_is_an_answer(tmp_path: Path) -> None:
    seen: list[Any] = []

    def reconcile(lamp: Any, observed: Observed, now: datetime) -> Decision:
        if Dawn(1) not in observed.read:
            return Decision(lamp.status, reads=(Dawn(1),))
        if Dawn(2) not in observed.read:
            return Decision(lamp.status, reads=(Dawn(1), Dawn(2)))
        seen[:] = [observed.read[Dawn(1)], observed.read[Dawn(2)]]
        return Decision(LampStatus(lit=seen[0]))

    async def main() -> None:
        store = SqliteStore(tmp_path / "state.db", KINDS)
        await store.apply(lamp(bulbs=1))
        loop = ControlLoop(store, [ResourceController(LAMP, (), reconcile)], {Dawn: _dawn})
        running = asyncio.create_task(loop.run())
        try:
            await asyncio.wait_for(_until(store, LAMP, lambda lamps: lamps[0].status.lit == 6), 60)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await store.close()

    asyncio.run(main())
    assert seen[0] == 6
    assert isinstance(seen[1], Unavailable)


def test_what_happens_soon_after_a_status_was_written_is_one_more_write(tmp_path: Path) -> None:
    store = TroubledStore(tmp_path / "state.db", KINDS)
    steps: list[tuple[str, str]] = []

    async def light_all() -> None:
        await store.create(lamp(bulbs=5))
        await _until(store, LAMP, lambda lamps: bool(lamps[0].status.conditions))
        for bulb in (await store.listing(BULB)).items:
            await store.write_status(bulb.with_status(BulbStatus(lit=True)))
        await _until(store, LAMP, lambda lamps: lamps[0].status.lit == 5)

    def observe(kind: str, outcome: str, seconds: float) -> None:
        steps.append((kind, outcome))

    asyncio.run(_with_loop(store, LAMPS, light_all, rest_s=0.5, observer=observe))
    assert store.writes == 1 + 5 + 1 + 5 + 1  # the lamp, its bulbs, its status, theirs, and once more its own
    assert set(steps) == {("Lamp", "done")}


def test_what_the_store_refuses_is_an_event_of_the_owner(tmp_path: Path) -> None:
    class FullStore(SqliteStore):
        async def create(self, resource: AnyResource) -> AnyResource:
            if resource.kind is BULB:
                raise Refused("exceeded quota: bulbs")
            return await super().create(resource)

    store = FullStore(tmp_path / "state.db", KINDS)

    async def use() -> None:
        made = await store.create(lamp())
        while not (events := await store.events(made.key)):
            await asyncio.sleep(0.01)
        assert (events[0].event.type, events[0].event.message) == ("Warning", "exceeded quota: bulbs")

    asyncio.run(_with_loop(store, LAMPS, use))
