"""Events of resources: repeats are one series, written seldom."""

import asyncio
from datetime import UTC, datetime, timedelta

from lykeion.control import Event
from lykeion.platform.kubernetes.store.cluster_events import KEPT_SERIES, SERIES_LASTS, ClusterEvents
from tests.control.lamps import lamp

from .fake_api_server import FakeApiServer, fake_api_server, status

LIT, OUT = Event("Normal", "Lit", "2 of 2"), Event("Warning", "Out", "x" * 2000)


class Clock:
    now = datetime(2026, 11, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


async def _recorded(server: FakeApiServer, clock: Clock, *pauses_s: float) -> None:
    client = server.client()
    events = ClusterEvents(client, "operator-1", clock)
    for pause_s in pauses_s:
        clock.pass_(pause_s)
        await events.record(lamp(), LIT)
    await client.close()


def _methods(*pauses_s: float) -> list[str]:
    async def use() -> list[str]:
        async with fake_api_server() as server:
            await _recorded(server, Clock(), *pauses_s)
            return [each.method for each in server.requests]

    return asyncio.run(use())


def test_a_repeat_makes_a_series_whose_count_is_written_once_a_minute() -> None:
    assert _methods(0, 1) == ["POST", "PATCH"]
    assert _methods(0, *[1.0] * 59) == ["POST", "PATCH"]
    assert _methods(0, *[1.0] * 125) == ["POST", "PATCH", "PATCH", "PATCH"]
    assert _methods(0, SERIES_LASTS.total_seconds() + 1) == ["POST", "POST"]


def test_an_event_is_as_kubernetes_asks() -> None:
    async def use() -> None:
        async with fake_api_server() as server:
            clock = Clock()
            client = server.client()
            events = ClusterEvents(client, "operator-1", clock)
            await events.record(lamp(), OUT)
            clock.pass_(1)
            await events.record(lamp(), OUT)
            await client.close()
            post, patch = server.requests
            assert post.path == "/apis/events.k8s.io/v1/namespaces/default/events"
            assert post.body["eventTime"] == "2026-11-01T00:00:00.000000Z"
            assert (post.body["type"], post.body["reason"], len(post.body["note"])) == ("Warning", "Out", 1024)
            assert post.body["regarding"]["kind"] == "Lamp"
            assert patch.path == f"{post.path}/{post.body['metadata']['name']}"
            assert patch.body == {"series": {"count": 2, "lastObservedTime": "2026-11-01T00:00:01.000000Z"}}

    asyncio.run(use())


def test_a_series_that_the_server_has_dropped_begins_again() -> None:
    async def use() -> None:
        async with fake_api_server() as server:
            client = server.client()
            events = ClusterEvents(client, "operator-1", Clock())
            await events.record(lamp(), LIT)
            server.answers.append(status(404, "NotFound", "no event", name="a"))
            for _ in range(2):
                await events.record(lamp(), LIT)
            await client.close()
            assert [each.method for each in server.requests] == ["POST", "PATCH", "POST"]

    asyncio.run(use())


def test_few_series_are_remembered() -> None:
    async def use() -> None:
        async with fake_api_server() as server:
            client = server.client()
            events = ClusterEvents(client, "operator-1", Clock())
            for number in range(KEPT_SERIES + 1):
                await events.record(lamp(), Event("Normal", "Lit", str(number)))
            await events.record(lamp(), Event("Normal", "Lit", "0"))
            await client.close()
            assert {each.method for each in server.requests} == {"POST"}

    asyncio.run(use())
