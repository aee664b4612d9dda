"""Flags over HTTP as GrowthBook's clients ask for them: a JSON document with an ETag, and changes as events.

``/api/features/KEY`` and ``/sub/KEY`` (server-sent events: https://html.spec.whatwg.org/multipage/server-sent-events.html).
"""

import asyncio
import random
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from lykeion.core import LykeionError
from lykeion.web_kit import Workers, documented, outlives_timeout

from .client_keys import NotAClientKey, environment_of
from .flag_feed import FlagFeed, FlagPayload
from .flag_tables import FlagBase

MAX_STREAMS = 256
MAX_EVENT_BYTES = 65_536
"""The client for Python reads no longer lines: of a larger document it is told that there is one, and asks for it."""
PING_S = 20.0
UNCHANGED = {**documented(), 304: {"description": "The client has what is sent now."}}


@dataclass
class FlagService:
    """``feed.run`` has to run beside it, or streams hear of no change."""

    base: FlagBase
    feed: FlagFeed
    workers: Workers
    max_streams: int = MAX_STREAMS
    ping_s: float = PING_S
    streams: int = field(default=0, init=False)
    """Those that are open."""

    def find(self, key: str) -> tuple[str, FlagPayload]:
        """The environment that a key opens. Raises NotAClientKey."""
        environment = environment_of(self.base, key)
        return environment, self.feed.read(environment)


def flag_routes(service: FlagService) -> APIRouter:
    routes = APIRouter(tags=["flags"])

    @routes.get("/api/features/{key}", summary="All flags of the key's environment", responses=UNCHANGED)
    async def features(key: str, request: Request) -> Response:
        _, payload = await _found(service, key)
        headers = {"ETag": payload.etag, "Cache-Control": "no-cache", "X-SSE-Support": "enabled", **_shared(request)}
        if payload.etag in _etags(request):
            return Response(status_code=304, headers=headers)
        return Response(payload.body, media_type="application/json", headers=headers)

    @routes.get("/sub/{key}", summary="Changes of flags, as server-sent events", responses=documented())
    async def changes(key: str, request: Request) -> Response:
        environment, _ = await _found(service, key)
        outlives_timeout(request)
        return _FlagStream(service, _events(service, environment, key, request), _shared(request))

    return routes


class _FlagStream(StreamingResponse):
    """Events, or a refusal where too many are open."""

    def __init__(self, service: FlagService, events: AsyncGenerator[bytes], headers: Mapping[str, str]) -> None:
        always = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(events, media_type="text/event-stream", headers={**always, **headers})
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        service = self._service
        if service.streams >= service.max_streams or service.feed.ended:
            wait_s = random.randint(10, 60)  # noqa: S311 - a pause, not a secret
            message = "too many streams are open; ask for /api/features/KEY from time to time"
            raise HTTPException(503, message, {"Retry-After": str(wait_s)})
        service.streams += 1
        try:
            await super().__call__(scope, receive, send)
        finally:
            service.streams -= 1


async def _events(service: FlagService, environment: str, key: str, request: Request) -> AsyncGenerator[bytes]:
    """The document at first, unless the client has it, then whenever it has changed; comments while it has not.

    Whether the key is still valid is looked at before each change, and while there is none now and then. Clients that
    lose the connection come back one by one.
    """
    last, begun = request.headers.get("last-event-id", ""), False
    async with service.feed.listening(environment) as changed:
        yield f"retry: {random.randint(2_000, 10_000)}\n\n".encode()  # noqa: S311
        while not service.feed.ended:
            changed.clear()
            payload = service.feed.latest(environment)
            if payload.etag != last:
                if begun and not await _is_valid(service, key):
                    return
                last = payload.etag
                yield _event(payload)
            begun = True
            pause_s = service.ping_s * random.uniform(0.7, 1.3)  # noqa: S311
            try:
                await asyncio.wait_for(changed.wait(), pause_s)
            except TimeoutError:
                yield b": ping\n\n"
                if not await _is_valid(service, key):
                    return


async def _is_valid(service: FlagService, key: str) -> bool:
    """Also while it cannot be known."""
    try:
        await service.workers.run(environment_of, service.base, key)
    except NotAClientKey:
        return False
    except LykeionError:
        pass
    return True


def _event(payload: FlagPayload) -> bytes:
    if len(payload.body) > MAX_EVENT_BYTES:
        return f"event: features-updated\nid: {payload.etag}\ndata: {{}}\n\n".encode()
    return b"event: features\nid: %b\ndata: %b\n\n" % (payload.etag.encode(), payload.body)


async def _found(service: FlagService, key: str) -> tuple[str, FlagPayload]:
    try:
        return await service.workers.run(service.find, key)
    except NotAClientKey as error:
        raise HTTPException(401, str(error)) from None


def _etags(request: Request) -> set[str]:
    """Of ``If-None-Match`` (RFC 9110, 13.1.2), compared weakly."""
    given = ",".join(request.headers.getlist("if-none-match")).split(",")
    return {each.strip().removeprefix("W/") for each in given}


def _shared(request: Request) -> dict[str, str]:
    """So that a page of another origin which the server admits (``--allowed-host``) may read the answer."""
    origin = request.headers.get("origin")
    if not origin:
        return {"Vary": "Origin"}
    exposed = "ETag, X-SSE-Support"
    return {"Vary": "Origin", "Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": exposed}
