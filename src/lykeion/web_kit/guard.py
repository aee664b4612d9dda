"""Who may ask, how much, how often and for how long: checked before any route sees the request.

Without a token the service is for this machine alone. A web page elsewhere could still make its visitor's browser
ask it, directly or through a name that it rebinds to 127.0.0.1; the Host and Origin headers tell these apart.
With a token there is nothing that a browser would send by itself, and the token alone decides.
"""

import asyncio
import hmac
from collections import Counter
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lykeion.core import is_loopback

from .errors import error_response
from .settings import ServerSettings

SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
BODIES_AT_ONCE = 16


class Guard:
    """ASGI middleware. ``open_paths`` (exact) need no token: the page, which then asks for it, and health."""

    def __init__(self, app: ASGIApp, settings: ServerSettings, open_paths: frozenset[str]) -> None:
        self.app, self.settings, self.open_paths = app, settings, open_paths
        self._under_way: Counter[str] = Counter()
        self._held_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        started = False

        async def send_guarded(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                MutableHeaders(scope=message).update(SECURITY_HEADERS)
            await send(message)

        try:
            self._admit(scope)
            async with asyncio.timeout(self.settings.timeout_s):
                await self._bounded(scope, receive, send_guarded)
        except HTTPException as refusal:
            await error_response(refusal.status_code, refusal.detail, refusal.headers)(scope, receive, send_guarded)
        except TimeoutError:
            if started:
                raise
            message = f"no answer within {self.settings.timeout_s:g} s: try again, or with a smaller request"
            await error_response(503, message, {"Connection": "close"})(scope, receive, send_guarded)

    def _admit(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        if self.settings.token:
            if scope["path"] not in self.open_paths and not self._bears_token(headers):
                raise HTTPException(
                    401, "an API token is needed: send Authorization: Bearer TOKEN", {"WWW-Authenticate": "Bearer"}
                )
            return
        host = headers.get("host", "")
        if not is_loopback(_host_name(host)):
            raise HTTPException(403, "the Host header names another machine; this service is for this machine alone")
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host:
            raise HTTPException(403, "the request comes from a page of another origin")

    def _bears_token(self, headers: Headers) -> bool:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        right = hmac.compare_digest(token.strip().encode("utf-8", "replace"), self.settings.token.encode())
        return right and scheme.lower() == "bearer"

    async def _bounded(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = scope["client"][0] if scope.get("client") else ""
        if self._under_way[client] >= self.settings.per_client:
            raise HTTPException(429, f"{self.settings.per_client} requests from {client} are under way already")
        limit = self.settings.max_body_bytes
        too_large = HTTPException(413, f"the body is larger than {limit:,} bytes", {"Connection": "close"})
        announced = Headers(scope=scope).get("content-length", "0")
        if not announced.isdecimal() or int(announced) > limit:
            raise too_large
        taken = 0

        async def receive_bounded() -> Message:
            nonlocal taken
            message = await receive()
            size = len(message.get("body", b""))
            taken += size
            self._held_bytes += size
            if taken > limit:
                raise too_large
            if self._held_bytes > BODIES_AT_ONCE * limit:
                raise HTTPException(503, "too many uploads at once", {"Connection": "close"})
            return message

        self._under_way[client] += 1
        try:
            await self.app(scope, receive_bounded, send)
        finally:
            self._held_bytes -= taken
            self._under_way[client] -= 1
            if not self._under_way[client]:
                del self._under_way[client]


def _host_name(authority: str) -> str:
    try:
        return urlsplit(f"//{authority}").hostname or ""
    except ValueError:
        return ""
