"""ASGI middleware for ``admission`` and ``limits``: each request and WebSocket is checked before routing.

The timeout of a request covers its first byte to the end of its response. For a WebSocket, and for a route that
calls ``outlives_timeout``, it ends with the start of the response; after that it applies to each chunk sent.
"""

import asyncio
import logging

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .admission import HeaderValues, Refusal, refuse_stranger
from .error_response import error_response
from .forwarding import caller_of
from .limits import Clients, Uploads, refuse_length
from .server_settings import ServerSettings

NOTHING = "default-src 'none'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
"""The Content-Security-Policy of responses that are not pages."""
POLICY_VIOLATION = 1008
_OUTLIVES = "lykeion.outlives_timeout"
_STARTS = {"http.response.start", "websocket.http.response.start", "websocket.accept", "websocket.close"}
log = logging.getLogger("lykeion.web_kit")


def outlives_timeout(connection: HTTPConnection) -> None:
    """Let this response take longer than the timeout once it has started: events, large downloads.

    For a route of FastAPI: ``dependencies=[Depends(outlives_timeout)]``.
    """
    connection.scope[_OUTLIVES] = True


class Guard:
    """ASGI middleware. ``open_paths`` (exact) need no token: a page that then asks for it, and health checks.
    ``page_policy`` is the Content-Security-Policy that the app's pages need."""

    def __init__(
        self,
        app: ASGIApp,
        settings: ServerSettings,
        open_paths: frozenset[str] = frozenset(),
        page_policy: str = NOTHING,
    ) -> None:
        self.app, self.settings, self.open_paths = app, settings, open_paths
        self.security_headers = {
            "Content-Security-Policy": page_policy,
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
        }
        self.clients, self.uploads = Clients(settings.per_client), Uploads(settings.max_body_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        exchange = _Exchange(self, scope, receive, send)
        values, peer = Headers(scope=scope).getlist, scope["client"][0] if scope.get("client") else ""
        caller = caller_of(peer, values, self.settings.proxies)
        if refusal := self._refuse(scope["path"], values) or self.clients.enter(caller.address):
            await exchange.refuse(refusal)
            return
        scope.update(root_path=caller.prefix, path=caller.prefix + scope["path"])
        try:
            await exchange.run()
        finally:
            self.clients.leave(caller.address)
            self.uploads.free(exchange.taken)

    def _refuse(self, path: str, values: HeaderValues) -> Refusal | None:
        settings = self.settings
        return refuse_stranger(path, values, settings, self.open_paths) or refuse_length(
            values("content-length"), values("transfer-encoding"), settings.max_body_bytes
        )


class _Exchange:
    """One request with its response, or one WebSocket."""

    def __init__(self, guard: Guard, scope: Scope, receive: Receive, send: Send) -> None:
        self._guard, self._scope, self._receive, self._send = guard, scope, receive, send
        self._time = asyncio.timeout(guard.settings.timeout_s)
        self._started = self._stuck = False
        self.taken = 0
        """Bytes of the body received so far."""

    async def run(self) -> None:
        try:
            async with self._time:
                await self._guard.app(self._scope, self.receive, self.send)
        except Exception as error:
            late = self._stuck or self._time.expired()
            if late and self._started:
                log.warning("%s: the response was not finished in time", self._scope["path"])
            elif late:
                limit = f"{self._guard.settings.timeout_s:g} s"
                message = f"no response within {limit}; try again, or send a smaller request"
                await self.refuse(Refusal(503, message, {"Connection": "close"}))
            elif isinstance(error, HTTPException) and not self._started:
                await self.refuse(Refusal(error.status_code, error.detail, error.headers or {}))
            else:
                raise

    async def receive(self) -> Message:
        message = await self._receive()
        size = len(message.get("body", b""))
        refusal = self._guard.uploads.take(size, self.taken)
        self.taken += size
        if refusal:  # as an exception that passes through FastAPI's body parsing
            raise HTTPException(refusal.status, refusal.message, dict(refusal.headers))
        return message

    async def send(self, message: Message) -> None:
        kind = message["type"]
        if kind == "websocket.accept" or (kind == "http.response.start" and self._scope.get(_OUTLIVES)):
            self._time.reschedule(None)
        await self._deliver(message)

    async def refuse(self, refusal: Refusal) -> None:
        websocket = self._scope["type"] == "websocket"
        if websocket and "websocket.http.response" not in self._scope.get("extensions", {}):
            await self._deliver({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": refusal.message})
            return
        response = error_response(refusal.status, refusal.message, refusal.headers)
        await response(self._scope, self._receive, self._deliver)

    async def _deliver(self, message: Message) -> None:
        kind = message["type"]
        self._started = self._started or kind in _STARTS
        if kind.endswith(".response.start"):
            MutableHeaders(scope=message).update(self._guard.security_headers)
        try:
            async with asyncio.timeout(self._guard.settings.timeout_s):
                await self._send(message)
        except TimeoutError:
            self._stuck = True
            raise
