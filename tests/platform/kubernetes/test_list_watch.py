"""List and watch: no change is lost or told twice, whatever the server does."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace

import pytest

from lykeion.control import Gone
from lykeion.core import Unavailable
from lykeion.platform.kubernetes.api.list_watch import (
    WatchAges,
    Watched,
    WatchTimes,
    list_objects,
    watch_objects,
)
from lykeion.platform.kubernetes.objects.object_types import CONFIG_MAPS

from .fake_api_server import Answer, FakeApiServer, fake_api_server, status

WATCHED = Watched(CONFIG_MAPS)
QUICK = WatchTimes(first_back_off_s=0.01, last_back_off_s=0.02, silence_s=30)


def _run(use: Callable[[FakeApiServer], Awaitable[None]]) -> None:
    async def with_server() -> None:
        async with fake_api_server() as server:
            await use(server)

    asyncio.run(asyncio.wait_for(with_server(), 60))


async def _seen(server: FakeApiServer, since: str, count: int, times: WatchTimes = QUICK) -> list[tuple[str, str]]:
    client, seen = server.client(), []
    async with aclosing(watch_objects(client, WATCHED, since, times=times)) as events:
        while len(seen) < count:
            event = await anext(events)
            seen.append((event.type, event.object["metadata"]["name"]))
    await client.close()
    return seen


def test_a_listing_is_read_in_pages_and_says_what_its_items_are() -> None:
    async def use(server: FakeApiServer) -> None:
        server.page = 3
        for number in range(8):
            server.put(f"m{number}")
        client = server.client()
        objects, version = await list_objects(client, replace(WATCHED, namespace="default", labels="a=b"))
        assert [each["metadata"]["name"] for each in objects] == [f"m{number}" for number in range(8)]
        assert {(each["apiVersion"], each["kind"]) for each in objects} == {("v1", "ConfigMap")}
        assert version == str(server.version)
        assert [each.query.get("continue") for each in server.requests] == [None, "3", "6"]
        assert {each.query["labelSelector"] for each in server.requests} == {"a=b"}
        assert {each.path for each in server.requests} == {"/api/v1/namespaces/default/configmaps"}
        await client.close()

    _run(use)


def test_a_listing_whose_first_page_is_forgotten_begins_again() -> None:
    async def use(server: FakeApiServer) -> None:
        server.page = 1
        server.put("a")
        server.put("b")
        first = {"metadata": {"resourceVersion": "1", "continue": "1"}, "items": [server.objects["a"]]}
        server.answers.extend([Answer(body=first), status(410, "Expired", "the token is too old")])
        client = server.client()
        objects, _ = await list_objects(client, WATCHED)
        assert [each["metadata"]["name"] for each in objects] == ["a", "b"]
        await client.close()

    _run(use)


@pytest.mark.parametrize("end", ["close", "garbage", "silent"])
def test_a_watch_goes_on_from_the_last_change_after_a_connection_that_ends_badly(end: str) -> None:
    async def use(server: FakeApiServer) -> None:
        since = str(server.version)
        server.put("a")
        server.watches.extend([end, end])
        watching = asyncio.create_task(_seen(server, since, 4, replace(QUICK, silence_s=0.2)))
        await server.until(2, watch="1")
        server.put("a", key="value")
        server.put("b")
        server.remove("a")
        assert await watching == [("ADDED", "a"), ("MODIFIED", "a"), ("ADDED", "b"), ("DELETED", "a")]

    _run(use)


def test_a_watch_goes_on_when_the_server_was_away() -> None:
    async def use(server: FakeApiServer) -> None:
        since = str(server.version)
        watching = asyncio.create_task(_seen(server, since, 2))
        await server.until(1, watch="1")
        server.put("a")
        await server.stop()
        server.remove("a")
        await server.start()
        assert await watching == [("ADDED", "a"), ("DELETED", "a")]

    _run(use)


@pytest.mark.parametrize(
    "refusal",
    [
        status(429, "TooManyRequests", "too many requests"),
        status(500, "InternalError", "etcd has no leader"),
        status(503, "ServiceUnavailable", "starting"),
        status(403, "Forbidden", "RBAC: role not found"),
        Answer(502, "<html>bad gateway</html>"),
        Answer(None),
    ],
    ids=lambda answer: str(answer.code),
)
def test_a_watch_that_is_turned_away_asks_again(refusal: Answer) -> None:
    async def use(server: FakeApiServer) -> None:
        since = str(server.version)
        server.put("a")
        server.answers.extend([refusal, refusal, refusal])
        assert await _seen(server, since, 1) == [("ADDED", "a")]

    _run(use)


@pytest.mark.parametrize("told", ["by the watch", "by the answer"])
def test_a_watch_whose_changes_are_forgotten_says_so(told: str) -> None:
    async def use(server: FakeApiServer) -> None:
        since = str(server.version)
        server.put("a")
        server.forget()
        if told == "by the answer":
            server.answers.append(status(410, "Expired", "too old resource version"))
        with pytest.raises(Gone, match="list again"):
            await _seen(server, since, 1)

    _run(use)


def test_a_watch_after_a_restore_says_that_its_version_is_gone() -> None:
    """A server would wait for the version to come."""

    async def use(server: FakeApiServer) -> None:
        cause = {"causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]}
        server.answers.extend([Answer(None), status(504, "Timeout", "Too large resource version: 99", **cause)])
        with pytest.raises(Gone, match="was it restored"):
            await _seen(server, "99", 1)

    _run(use)


def test_a_watch_asks_for_bookmarks_and_an_end_and_remembers_the_version_of_a_bookmark() -> None:
    async def use(server: FakeApiServer) -> None:
        bookmark = {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "77"}}}
        server.answers.append(Answer(body=bookmark))
        server.version = 77
        watching = asyncio.create_task(_seen(server, "10", 1))
        await server.until(2, watch="1")
        server.put("a")
        assert await watching == [("ADDED", "a")]
        first, second = server.seen(watch="1")
        assert (first.query["resourceVersion"], second.query["resourceVersion"]) == ("10", "77")
        assert first.query["allowWatchBookmarks"] == "true"
        assert 240 <= int(first.query["timeoutSeconds"]) <= 360

    _run(use)


def test_back_off_doubles_to_a_limit_with_jitter() -> None:
    low, high = WatchTimes(random=lambda: 0.0), WatchTimes(random=lambda: 1.0)
    assert [high.back_off_s(failures) for failures in (1, 2, 3, 20, 2000)] == [0.25, 0.5, 1.0, 30.0, 30.0]
    assert [low.back_off_s(failures) for failures in (1, 2, 3, 20, 2000)] == [0.125, 0.25, 0.5, 15.0, 15.0]


def test_the_age_of_a_watch_counts_from_what_it_heard_last() -> None:
    now = [100.0]
    ages = WatchAges(lambda: now[0])

    async def use(server: FakeApiServer) -> None:
        client = server.client()
        async with aclosing(watch_objects(client, WATCHED, "10", ages, QUICK)) as events:
            server.put("a")
            await anext(events)
            now[0] = 130.0
            assert ages.ages_s() == {"configmaps": 30.0}
            server.put("b")
            await anext(events)
            assert ages.ages_s() == {"configmaps": 0.0}
        assert ages.ages_s() == {}
        await client.close()

    _run(use)


def test_a_server_that_is_away_cannot_be_listed() -> None:
    async def use(server: FakeApiServer) -> None:
        client = server.client()
        await server.stop()
        with pytest.raises(Unavailable, match=r"127\.0\.0\.1"):
            await list_objects(client, WATCHED)
        await client.close()

    _run(use)
