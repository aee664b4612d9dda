"""What every store of resources promises; each is a coroutine that is handed an empty store of lamps and bulbs."""

import asyncio
from typing import Any

import pytest
from msgspec import structs

from lykeion.control import (
    Change,
    Event,
    Exists,
    Gone,
    Key,
    NoSuchResource,
    Outdated,
    Resource,
    ResourceError,
    ResourceStore,
)

from .lamps import BULB, LAMP, BulbSpec, LampSpec, LampStatus, lamp


async def what_is_created_is_read_back(store: ResourceStore) -> None:
    made = await store.create(lamp())
    assert made.metadata.uid
    assert made.metadata.generation == 1
    assert made.metadata.creation_timestamp is not None
    assert await store.get(made.key) == made
    assert (await store.listing(LAMP)).items == (made,)
    assert (await store.listing(BULB)).items == ()


async def a_name_is_taken_once(store: ResourceStore) -> None:
    first = await store.create(lamp())
    with pytest.raises(Exists, match="lamp/desk"):
        await store.create(lamp(bulbs=3))
    assert await store.get(first.key) == first


async def what_is_not_there_is_not_found(store: ResourceStore) -> None:
    for call in (
        store.get(lamp().key),
        store.delete(lamp().key),
        store.write_status(lamp()),
        store.events(lamp().key),
    ):
        with pytest.raises(NoSuchResource, match="there is no lamp/desk"):
            await call


async def a_listing_is_of_one_namespace_or_of_all(store: ResourceStore) -> None:
    await store.create(LAMP.new("desk", LampSpec(bulbs=1), namespace="b"))
    await store.create(LAMP.new("desk", LampSpec(bulbs=1), namespace="a"))
    await store.create(LAMP.new("aisle", LampSpec(bulbs=1), namespace="b"))
    everywhere = [(each.metadata.namespace, each.metadata.name) for each in (await store.listing(LAMP)).items]
    assert everywhere == [("a", "desk"), ("b", "aisle"), ("b", "desk")]
    assert len((await store.listing(LAMP, "b")).items) == 2
    assert (await store.listing(LAMP, "c")).items == ()


async def a_generation_counts_changes_of_the_spec_alone(store: ResourceStore) -> None:
    made = await store.apply(lamp())
    written = await store.write_status(made.with_status(LampStatus(lit=1)))
    again = await store.apply(lamp())
    assert again == written
    changed = await store.apply(lamp(bulbs=5))
    assert changed.metadata.generation == 2
    assert changed.status.lit == 1
    assert changed.metadata.uid == made.metadata.uid
    labelled = lamp(bulbs=5)
    labelled = Resource(
        LAMP, structs.replace(labelled.metadata, labels={"room": "hall"}), labelled.spec, labelled.status
    )
    assert (await store.apply(labelled)).metadata.generation == 2


async def a_change_that_the_kind_forbids_changes_nothing(store: ResourceStore) -> None:
    made = await store.apply(lamp())
    with pytest.raises(ResourceError, match="lamp/desk: spec: colours may not change"):
        await store.apply(lamp(colours=("red",)))
    assert await store.get(made.key) == made


async def a_write_to_what_was_changed_since_it_was_read_is_refused(store: ResourceStore) -> None:
    read = await store.create(lamp())
    await store.apply(lamp(bulbs=3))
    with pytest.raises(Outdated, match="lamp/desk was changed"):
        await store.write_status(read.with_status(LampStatus(lit=2)))
    with pytest.raises(Outdated, match="lamp/desk was changed"):
        await store.apply(read)
    await store.delete(read.key)
    with pytest.raises(Outdated, match="was deleted"):
        await store.apply(read)
    await store.create(lamp())
    with pytest.raises(NoSuchResource, match="made again"):
        await store.delete(read.key, read.metadata.uid)


async def a_watch_sees_each_change_once_and_in_order(store: ResourceStore) -> None:
    before = await store.create(lamp("before"))
    since = (await store.listing(LAMP)).version
    seen: list[Change] = []

    async def watch() -> None:
        async for change in store.watch(LAMP, since):
            seen.append(change)
            if len(seen) == 4:
                return

    watching = asyncio.create_task(watch())
    made = await store.create(lamp())
    await store.create(BULB.new("other-kind", BulbSpec()))
    lit = await store.write_status(made.with_status(LampStatus(lit=1)))
    await store.apply(lamp())  # the same again: no change
    await store.delete(before.key)
    await store.delete(made.key)
    await asyncio.wait_for(watching, 60)
    assert [(change.type, change.resource.key.name) for change in seen] == [
        ("ADDED", "desk"), ("MODIFIED", "desk"), ("DELETED", "before"), ("DELETED", "desk"),
    ]  # fmt: skip
    assert seen[1].resource == lit


async def a_watch_from_before_what_is_kept_says_that_it_is_gone(store: ResourceStore) -> None:
    with pytest.raises(Gone, match="list again"):
        await anext(aiter(store.watch(LAMP, "4000000000")))  # another store's: no such version is known


async def what_owns_is_deleted_with_all_that_it_owns(store: ResourceStore) -> None:
    desk = await store.create(lamp())
    bulb = await store.create(BULB.new("bulb", BulbSpec(), owner=desk))
    part = await store.create(BULB.new("part", BulbSpec(), owner=bulb))
    stranger = await store.create(BULB.new("stranger", BulbSpec()))
    await store.delete(desk.key)
    with pytest.raises(NoSuchResource):
        await store.get(desk.key)
    for owned in (bulb, part):
        await asyncio.wait_for(_gone(store, owned), 60)
    assert await store.get(stranger.key) == stranger


async def _gone(store: ResourceStore, resource: Resource[Any, Any]) -> None:
    """A cluster deletes what is owned a moment later."""
    listing = await store.listing(resource.kind)
    if resource in listing.items:
        async for change in store.watch(resource.kind, listing.version):
            if change.type == "DELETED" and change.resource.key == resource.key:
                break
    with pytest.raises(NoSuchResource):
        await store.get(resource.key)


async def the_last_events_of_a_resource_are_kept(store: ResourceStore) -> None:
    desk = await store.create(lamp())
    for number in range(60):
        await store.record(desk, Event("Normal", "Lit", str(number)))
    events = await store.events(desk.key)
    assert [each.event.message for each in events] == [str(number) for number in range(10, 60)]
    await store.delete(desk.key)
    await store.create(lamp())
    assert await store.events(desk.key) == ()


async def of_two_that_create_one_name_one_does(store: ResourceStore) -> None:
    results: list[Any] = await asyncio.gather(*(store.create(lamp()) for _ in range(8)), return_exceptions=True)
    made = [each for each in results if isinstance(each, Resource)]
    assert len(made) == 1
    assert all(isinstance(each, Exists) for each in results if each is not made[0])
    assert await store.get(Key("Lamp", "default", "desk")) == made[0]


PROMISES = (
    what_is_created_is_read_back,
    a_name_is_taken_once,
    what_is_not_there_is_not_found,
    a_listing_is_of_one_namespace_or_of_all,
    a_generation_counts_changes_of_the_spec_alone,
    a_change_that_the_kind_forbids_changes_nothing,
    a_write_to_what_was_changed_since_it_was_read_is_refused,
    a_watch_sees_each_change_once_and_in_order,
    a_watch_from_before_what_is_kept_says_that_it_is_gone,
    what_owns_is_deleted_with_all_that_it_owns,
    the_last_events_of_a_resource_are_kept,
    of_two_that_create_one_name_one_does,
)
