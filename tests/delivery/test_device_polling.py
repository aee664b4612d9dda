"""Long polling by requests that end too soon, or hold what is no frame."""

import asyncio
from collections.abc import Callable

import httpx
import pytest
from fastapi import FastAPI

from lykeion.delivery.gateway import device_polling
from lykeion.delivery.gateway.device_polling import CONNECTION, MAX_FRAMES, POLL, PollLink, polling_routes

FRAME = b"\x00\x00\x00\x01f"


class User:
    def __init__(self, link: PollLink) -> None:
        self.link, self.frames, self.ended = link, list[bytes](), False

    def received(self, data: bytes) -> None:
        self.frames.append(data)
        if data == b"!":
            raise ValueError("a fault of the program")

    def flush(self) -> None: ...

    def lost(self) -> None:
        self.ended = True


class Polling:
    """Requests without sockets."""

    def __init__(self) -> None:
        self.users: list[User] = []
        app = FastAPI()
        app.include_router(polling_routes(self.opened, wait_s=60))
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        self.client = httpx.AsyncClient(transport=transport, base_url="http://gateway")

    def opened(self, token: str, link: PollLink) -> User:
        self.users.append(User(link))
        return self.users[-1]

    async def poll(self, body: bytes, connection: str = "") -> httpx.Response:
        headers = {"Authorization": "Bearer token", CONNECTION: connection}
        return await self.client.post(POLL, content=body, headers=headers, timeout=None)


async def until(done: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not done():
            await asyncio.sleep(0.002)


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_polling, "FORGOTTEN_S", 0.05)
    monkeypatch.setattr(device_polling, "SOON_S", 0.01)


def test_a_connection_whose_request_was_cut_off_or_failed_is_forgotten_too(soon: None) -> None:
    async def run() -> None:
        polling = Polling()
        name = (await polling.poll(FRAME)).headers[CONNECTION]
        waiting = asyncio.ensure_future(polling.poll(b"", name))
        await asyncio.sleep(0)
        await until(lambda: polling.users[0].link.forget is not None and polling.users[0].link.forget.cancelled())
        waiting.cancel()
        await until(lambda: polling.users[0].ended)
        assert (await polling.poll(b"\x00\x00\x00\x01!")).status_code == 500
        await until(lambda: polling.users[1].ended)
        assert (await polling.poll(b"", name)).status_code == 410

    asyncio.run(run())


@pytest.mark.parametrize("body", [b"\x00", b"\x00\x00\x00\x02a", b"\xff" * 8, bytes(4) * (MAX_FRAMES + 1)])
def test_a_request_with_what_are_no_frames_or_too_many_opens_nothing(body: bytes) -> None:
    async def run() -> None:
        polling = Polling()
        assert (await polling.poll(body)).status_code == 400
        assert polling.users == []

    asyncio.run(run())


def test_frames_of_a_request_wait_while_nothing_is_read_from_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_polling, "SOON_S", 0.01)

    async def run() -> None:
        polling = Polling()
        name = (await polling.poll(FRAME)).headers[CONNECTION]
        (user,) = polling.users
        user.link.pause_reading()
        waiting = asyncio.ensure_future(polling.poll(2 * FRAME, name))
        for _ in range(20):
            await asyncio.sleep(0.001)
        assert len(user.frames) == 1
        user.link.resume_reading()
        assert (await waiting).status_code == 200
        assert len(user.frames) == 3

    asyncio.run(run())
