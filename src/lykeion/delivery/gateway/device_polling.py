"""Frames by requests, for devices whose network lets no WebSocket through."""

import asyncio
import secrets
import struct
from collections.abc import Callable

from fastapi import APIRouter, Request, Response

from lykeion.delivery.device_service import NotADevice
from lykeion.device.conversation import MAX_QUERY_BYTES
from lykeion.web_kit import Refusal, documented

from .device_websocket import BEHIND_BYTES, SocketUser

POLL = "/v1/device/poll"
CONNECTION = "Lykeion-Connection"
WAIT_S, SOON_S = 25.0, 1.0
"""A request that brings nothing waits for something to take; one that brings frames, a moment for their answers."""
FORGOTTEN_S = 60.0
MAX_FRAMES = 1_000
"""Of one request."""
_LENGTH = struct.Struct(">I")

PollOpener = Callable[[str, "PollLink"], SocketUser | Refusal]
"""By a credential. Raises NotADevice."""


class PollLink:
    """A link to a device that asks for its frames."""

    def __init__(self, token: str) -> None:
        self.token = token
        self.full = self.closed = False
        self.full_since: float | None = None
        self.user: SocketUser | None = None
        self.forget: asyncio.TimerHandle | None = None
        self._frames: list[bytes] = []
        self._bytes = 0
        self._some, self.reading = asyncio.Event(), asyncio.Event()
        self.reading.set()

    def pause_reading(self) -> None:
        self.reading.clear()

    def resume_reading(self) -> None:
        self.reading.set()

    def send(self, data: bytes) -> None:
        self._frames.append(data)
        self._bytes += len(data)
        if self._bytes > BEHIND_BYTES and not self.full:
            self.full, self.full_since = True, asyncio.get_running_loop().time()
        self._some.set()

    def close(self, why: str) -> None:
        self.closed = True
        self.reading.set()
        self._some.set()

    async def take(self, wait_s: float) -> bytes:
        """What is to be sent, each frame after its length."""
        try:
            async with asyncio.timeout(wait_s):
                await self._some.wait()
        except TimeoutError:
            return b""
        frames, self._frames, self._bytes = self._frames, [], 0
        self._some.clear()
        self.full, self.full_since = False, None
        if self.user:
            self.user.flush()
        return b"".join(_LENGTH.pack(len(frame)) + frame for frame in frames)


def polling_routes(opened: PollOpener, wait_s: float = WAIT_S) -> APIRouter:
    routes, links = APIRouter(tags=["devices"]), dict[str, PollLink]()

    def lost(name: str) -> None:
        if link := links.pop(name, None):
            if link.forget:
                link.forget.cancel()
            if link.user:
                link.user.lost()

    def link_of(name: str, token: str) -> tuple[str, PollLink] | Response:
        if name:
            link = links.get(name)
            if link is None or not secrets.compare_digest(link.token.encode(), token.encode()):
                return _plain(410, "this connection has ended; say hello again")
            return name, link
        link = PollLink(token)
        try:
            user = opened(token, link)
        except NotADevice as error:
            return _plain(401, str(error), {"WWW-Authenticate": "Bearer"})
        if isinstance(user, Refusal):
            return _plain(user.status, user.message, dict(user.headers))
        link.user, name = user, secrets.token_urlsafe(24)
        links[name] = link
        return name, link

    @routes.post(POLL, summary="Bring frames of lykeion.v1, and take them", responses=documented())
    async def poll(request: Request) -> Response:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        frames = _frames(await request.body())
        if frames is None:
            return _plain(400, f"up to {MAX_FRAMES:,} frames are sent, each after its length, four bytes")
        found = link_of(request.headers.get(CONNECTION, ""), token.strip() if scheme.lower() == "bearer" else "")
        if isinstance(found, Response):
            return found
        name, link = found
        if link.forget:
            link.forget.cancel()
        try:
            for frame in frames:
                await link.reading.wait()
                if link.user:
                    link.user.received(frame)
            body = await link.take(SOON_S if frames else wait_s)
        finally:  # also where the request ends before its answer, by its time or by an error
            if link.forget:
                link.forget.cancel()  # of another request on this connection
            link.forget = asyncio.get_running_loop().call_later(FORGOTTEN_S, lost, name)
        if link.closed:
            lost(name)
            return _answer(body, "")
        return _answer(body, name)

    return routes


def _frames(data: bytes) -> list[bytes] | None:
    frames, place = list[bytes](), 0
    while place < len(data):
        if place + 4 > len(data) or len(frames) == MAX_FRAMES:
            return None
        (size,) = _LENGTH.unpack_from(data, place)
        if size > MAX_QUERY_BYTES or place + 4 + size > len(data):
            return None
        frames.append(data[place + 4 : place + 4 + size])
        place += 4 + size
    return frames


def _answer(body: bytes, name: str) -> Response:
    headers = {CONNECTION: name, "Cache-Control": "no-store"}
    return Response(body, media_type="application/octet-stream", headers=headers)


def _plain(status: int, text: str, headers: dict[str, str] | None = None) -> Response:
    return Response(text, status, headers, media_type="text/plain")
