"""Views kept up to date across a server that forgets: what happened in between is told, deletions too."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from lykeion.control import AnyResource, Change, Gone, Listing, follow
from lykeion.core import Unavailable
from lykeion.platform.kubernetes.api.list_watch import VersionsWentBack, WatchAges, WatchTimes
from lykeion.platform.kubernetes.objects.object_types import CONFIG_MAPS, KubeObject
from lykeion.platform.kubernetes.objects.translation import (
    ObjectSource,
    Translation,
    object_of,
    read_view,
    written_annotations,
)
from lykeion.platform.kubernetes.store.cluster_store import ClusterStore
from lykeion.platform.kubernetes.store.view_cache import KEPT_CHANGES, ViewCache
from lykeion.platform.kubernetes.works.work_translation import WORKS
from lykeion.platform.resources.programs.program_volume import VOLUME, VolumeSpec, VolumeStatus
from lykeion.platform.resources.settings.configuration import CONFIG_MAP

from .fake_api_server import FakeApiServer, fake_api_server, status
from .memory_cluster import MemoryCluster


def _resource_of(primary: KubeObject, others: Sequence[KubeObject]) -> AnyResource:
    return read_view(VOLUME, primary, others, VolumeStatus())


IN_MAPS = Translation(VOLUME, (ObjectSource(CONFIG_MAPS),), lambda *_: (), _resource_of, lambda *_: ())
QUICK = WatchTimes(first_back_off_s=0.01, last_back_off_s=0.02)


def _put(server: FakeApiServer, name: str, size: str) -> None:
    volume = VOLUME.new(name, VolumeSpec(size=size))
    made = object_of(CONFIG_MAPS, volume, name, written_annotations(volume))
    server.put(name)["metadata"] |= {"labels": made["metadata"]["labels"], "annotations": written_annotations(volume)}


def _run(use: Callable[[FakeApiServer, ViewCache], Awaitable[None]]) -> None:
    async def with_cache() -> None:
        async with fake_api_server() as server:
            client = server.client()
            cache = ViewCache(client, IN_MAPS, (None,), WatchAges(), QUICK)
            try:
                await use(server, cache)
            finally:
                await cache.close()
                await client.close()

    asyncio.run(asyncio.wait_for(with_cache(), 60))


async def _next(cache: ViewCache, since: str, count: int) -> list[tuple[str, str, str]]:
    changes: list[Change] = []
    async for change in cache.changes(since):
        changes.append(change)
        if len(changes) == count:
            break
    return [(each.type, each.resource.metadata.name, str(each.resource.spec.size)) for each in changes]


def test_what_happened_while_changes_were_forgotten_is_told() -> None:
    async def use(server: FakeApiServer, cache: ViewCache) -> None:
        for name in ("changed", "deleted", "same"):
            _put(server, name, "1Gi")
        server.watches.append("gone")
        held = asyncio.Event()
        listed = server._listed

        def once_changed(request: object) -> object:
            if len(server.requests) > 1 and not held.is_set():
                held.set()
                _put(server, "changed", "2Gi")
                _put(server, "made", "1Gi")
                server.remove("deleted")
                server.forget()
            return listed(request)  # type: ignore[arg-type]

        server._listed = once_changed  # type: ignore[method-assign, assignment]
        await cache.start()
        listing = cache.listing(None)
        assert [each.metadata.name for each in listing.items] == ["changed", "deleted", "same"]
        assert sorted(await _next(cache, listing.version, 3)) == [
            ("ADDED", "made", "1Gi"), ("DELETED", "deleted", "1Gi"), ("MODIFIED", "changed", "2Gi"),
        ]  # fmt: skip

    _run(use)


def test_a_start_that_fails_goes_on_where_it_was() -> None:
    async def use(server: FakeApiServer, cache: ViewCache) -> None:
        _put(server, "a", "1Gi")
        server.answers.append(status(500, "InternalError"))
        with pytest.raises(Unavailable):
            await cache.start()
        await cache.start()
        await cache.start()
        assert [each.metadata.name for each in cache.listing("default").items] == ["a"]
        assert cache.listing("elsewhere").items == ()
        assert len([each for each in server.requests if "watch" not in each.query]) == 2

    _run(use)


def test_whoever_lags_behind_is_told_to_list_again() -> None:
    async def use(server: FakeApiServer, cache: ViewCache) -> None:
        await cache.start()
        for number in range(KEPT_CHANGES + 1):
            _put(server, "a", f"{number + 1}Gi")
            cache.put({"apiVersion": "v1", "kind": "ConfigMap", **server.objects["a"]})
        with pytest.raises(Gone, match="list again"):
            await _next(cache, "0", 1)
        with pytest.raises(Gone):
            await _next(cache, "1000000", 1)
        assert len(await _next(cache, "1", KEPT_CHANGES)) == KEPT_CHANGES

    _run(use)


def test_each_change_of_an_object_is_told_to_who_keeps_the_views() -> None:
    async def use(server: FakeApiServer, cache: ViewCache) -> None:
        _put(server, "a", "1Gi")
        await cache.start()
        told: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        cache.changed = told.put_nowait
        _put(server, "b", "1Gi")
        server.remove("a")
        assert [await told.get(), await told.get()] == [("default", "b"), ("default", "a")]

    _run(use)


def test_a_server_that_was_restored_ends_who_knows_its_later_versions() -> None:
    async def use(server: FakeApiServer, cache: ViewCache) -> None:
        _put(server, "a", "1Gi")
        server.watches.append("gone")
        await cache.start()
        listing = cache.listing(None)
        server.version = 3
        with pytest.raises(VersionsWentBack, match="begin again"):
            await _next(cache, listing.version, 1)

    _run(use)


def test_a_platform_does_not_go_on_with_a_server_that_was_restored() -> None:
    async def use(server: FakeApiServer, cache: ViewCache) -> None:
        store = ClusterStore(server.client(), {CONFIG_MAP.name: CONFIG_MAP}, times=QUICK)
        _put(server, "a", "1Gi")

        def listed(listing: Listing) -> None:
            server.version = 3

        server.watches.append("gone")
        with pytest.raises(VersionsWentBack, match="configmaps: the API server has an earlier version"):
            await follow(store, CONFIG_MAP, listed, lambda change: None)

    _run(use)


def test_types_are_listed_together_and_events_when_pods_are_known() -> None:
    asked, answered, every = set[str](), set[str](), asyncio.Event()
    types = {each.type.plural for each in WORKS.sources if not each.fields}

    class Busy(MemoryCluster):
        """It answers for one type only when it was asked for all of them."""

        async def get(self, path: str, what: str, query: Any = None) -> Any:
            plural = path.rsplit("/", 1)[-1]
            asked.add(plural)
            if plural == "events":
                assert answered >= types
            elif asked >= types:
                every.set()
            await every.wait()
            answered.add(plural)
            return await super().get(path, what, query)

    async def use() -> None:
        client: Any = Busy("here")
        cache = ViewCache(client, WORKS, (None,), WatchAges(), QUICK)
        await cache.start()
        assert answered == {*types, "events"}
        await cache.close()

    asyncio.run(asyncio.wait_for(use(), 60))
