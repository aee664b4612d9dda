"""Streams of flags: what a client hears while nothing changes, when it returns, and when its key is revoked."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from lykeion.delivery.device_service import FleetStore
from lykeion.delivery.flags import ClientKeys, FlagEdit, FlagFeed, FlagService, FlagStore, flag_routes, read_flag
from lykeion.web_kit import Guard, ServerSettings, Workers, answer_errors, serve_beside, service_app

EDIT = FlagEdit("ann", "a test", 1.0)
DEADLINE_S = 60


@pytest.fixture
def base(tmp_path: Path) -> Iterator[FleetStore]:
    store = FleetStore(tmp_path / "fleet.db")
    yield store
    store.close()


class Stream:
    """A server of flags and one client, in one event loop."""

    def __init__(self, base: FleetStore, **limits: Any) -> None:
        self.flags, self.keys = FlagStore(base), ClientKeys(base, "production")
        self.key = self.keys.make("app", EDIT)
        self.workers = Workers(2, 16)
        self.service = FlagService(base, FlagFeed(base, poll_s=0.02), self.workers, **limits)

    def put(self, default: float) -> None:
        self.flags.put("size", read_flag({"type": "number", "default": default}), EDIT)

    async def run(self, work: Callable[[httpx.AsyncClient], Awaitable[None]]) -> None:
        settings = ServerSettings()
        app = service_app("flags", "", self.workers)
        app.include_router(flag_routes(self.service))
        answer_errors(app)
        app.add_middleware(Guard, settings=settings)
        async with asyncio.timeout(DEADLINE_S), serve_beside(app, settings, host="127.0.0.1", port=0) as url:
            feed = asyncio.create_task(self.service.feed.run())
            async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=DEADLINE_S) as http:
                await work(http)
            feed.cancel()
            await asyncio.wait([feed])

    async def until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            await asyncio.sleep(0.01)


async def next_line(lines: AsyncIterator[str], beginning: str) -> str:
    async for line in lines:
        if line.startswith(beginning):
            return line
    raise AssertionError(f"the stream has ended before {beginning}")


def test_a_stream_begins_with_the_document_goes_on_with_changes_and_pings_between(base: FleetStore) -> None:
    stream = Stream(base, ping_s=0.05)
    stream.put(1)

    async def work(http: httpx.AsyncClient) -> None:
        async with http.stream("GET", f"/sub/{stream.key}") as answer:
            lines = answer.aiter_lines()
            assert (await anext(lines)).startswith("retry: ")
            assert '"defaultValue":1' in await next_line(lines, "data: ")
            await next_line(lines, ": ping")
            stream.put(2)
            last = (await next_line(lines, "id: ")).removeprefix("id: ")
            assert '"defaultValue":2' in await next_line(lines, "data: ")
        async with http.stream("GET", f"/sub/{stream.key}", headers={"Last-Event-ID": last}) as answer:
            lines = answer.aiter_lines()
            found = [await anext(lines) for _ in range(3)]
            assert found[2] == ": ping", "a client that has the document is not sent it again"
        await stream.until(lambda: stream.service.streams == 0)

    asyncio.run(stream.run(work))


def test_a_stream_ends_when_its_key_is_revoked(base: FleetStore) -> None:
    stream = Stream(base, ping_s=0.05)
    other = stream.keys.make("other", EDIT)

    async def work(http: httpx.AsyncClient) -> None:
        async with http.stream("GET", f"/sub/{stream.key}") as one, http.stream("GET", f"/sub/{other}") as two:
            lines = two.aiter_lines()
            await next_line(lines, ": ping")
            stream.keys.revoke("app", EDIT)
            async for _ in one.aiter_lines():
                pass
            stream.put(7)
            while "defaultValue" not in await next_line(lines, "data: "):
                pass

    asyncio.run(stream.run(work))


def test_a_key_that_is_revoked_hears_of_no_further_change(base: FleetStore) -> None:
    stream = Stream(base, ping_s=10 * DEADLINE_S)
    stream.put(1)

    async def work(http: httpx.AsyncClient) -> None:
        async with http.stream("GET", f"/sub/{stream.key}") as answer:
            lines = answer.aiter_lines()
            assert '"defaultValue":1' in await next_line(lines, "data: ")
            stream.keys.revoke("app", EDIT)
            stream.put(2)
            assert [line async for line in lines if line] == []

    asyncio.run(stream.run(work))


def test_a_stream_beyond_the_limit_is_refused_and_says_when_to_return(base: FleetStore) -> None:
    stream = Stream(base, max_streams=0)

    async def work(http: httpx.AsyncClient) -> None:
        answer = await http.get(f"/sub/{stream.key}")
        assert (answer.status_code, answer.json()["error"][:8]) == (503, "too many")
        assert 10 <= int(answer.headers["Retry-After"]) <= 60
        assert (await http.get(f"/api/features/{stream.key}")).is_success

    asyncio.run(stream.run(work))
