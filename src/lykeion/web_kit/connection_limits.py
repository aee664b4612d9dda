"""Limits on idle connections and on the time until a request's headers are complete.

Threat: a client that opens connections and sends half a request, or nothing, until the process has no file
descriptors left. uvicorn has no timeout for headers, and the guard sees a request only after them.
"""

import asyncio
import resource
from collections.abc import Collection
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from .error_response import error_response
from .forwarding import Networks, is_proxy
from .limits import CLOSE
from .server_settings import ServerSettings

CONNECTIONS = 1_024
HEADERS_S = 10.0


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    in_all: int
    per_client: int
    headers_s: float
    proxies: Networks = ()

    @classmethod
    def of(cls, settings: ServerSettings) -> "ConnectionLimits":
        """Half of the process's file descriptors are left to the index; each client may hold as many idle connections
        as concurrent requests, but a proxy's are limited only by those in all."""
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        in_all = CONNECTIONS if files == resource.RLIM_INFINITY else min(CONNECTIONS, files // 2)
        return cls(in_all, min(2 * settings.per_client, in_all), min(HEADERS_S, settings.timeout_s), settings.proxies)


def bounded(protocol: type[asyncio.Protocol], limits: ConnectionLimits) -> type[asyncio.Protocol]:
    """One of uvicorn's HTTP protocols, with limits."""
    return type(f"Bounded{protocol.__name__}", (_Bounded, protocol), {"limits": limits})


class _Bounded(asyncio.Protocol):
    """Mixin for a uvicorn protocol; it reads its ``connections`` (including WebSockets) and ``cycle``."""

    limits: ConnectionLimits
    connections: Collection[Any]
    client: tuple[str, int] | None
    cycle: Any
    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._wait_for_headers()
        self._make_room()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self.waiting or self.transport.get_protocol() is not self:  # upgraded to a WebSocket
            self._deadline.cancel()
        elif self._deadline.cancelled():
            self._wait_for_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        self._deadline.cancel()
        super().connection_lost(exc)

    @property
    def waiting(self) -> bool:
        """No request with complete headers has arrived since the last response."""
        return self.cycle is None or self.cycle.response_complete

    def _wait_for_headers(self) -> None:
        self.since = self.loop.time()
        limit = self.limits.headers_s
        self._deadline = self.loop.call_later(limit, self._end, 408, f"no complete request within {limit:g} s")

    def _make_room(self) -> None:
        """Beyond a limit, close the connection that has been idle longest, so that active clients are served; that is
        this one if all others have a request in progress."""
        held = [other for other in self.connections if not other.transport.is_closing()]
        own = [] if self._from_proxy else [other for other in held if _same_address(other, self)]
        crowd = own if len(own) > self.limits.per_client else held
        if len(own) > self.limits.per_client or len(held) > self.limits.in_all:
            idle = (other for other in crowd if isinstance(other, _Bounded) and other.waiting)
            min(idle, key=lambda other: other.since)._end(503, "too many connections")

    @property
    def _from_proxy(self) -> bool:
        return self.client is not None and is_proxy(self.client[0], self.limits.proxies)

    def _end(self, status: int, message: str) -> None:
        if self.cycle is None:  # or its client would take this as the response to its next request
            answer = error_response(status, message, CLOSE)
            head = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}".encode()]
            head += [name + b": " + value for name, value in answer.raw_headers]
            self.transport.write(b"\r\n".join([*head, b"", bytes(answer.body)]))
        self.transport.close()


def _same_address(one: Any, other: Any) -> bool:
    return bool(one.client and other.client and one.client[0] == other.client[0])
