"""Binding a socket as the settings allow, and running uvicorn on it until stopped."""

import asyncio
import logging
import signal
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, nullcontext

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from lykeion.core import Unavailable, is_loopback

from .connection_limits import CONNECTIONS, ConnectionLimits, bounded
from .server_settings import ServerSettings, SettingsError
from .sparing_log import SparingLog

ACCEPTED_AT_ONCE = 64
"""Connections that the event loop accepts before it counts them; fewer where only few files may be open."""
MAX_MESSAGE_BYTES = 1 << 20
"""Of one WebSocket message."""
SPARING_LOG = SparingLog()


class CannotListen(Unavailable):
    """The address is in use or does not belong to this machine."""


def serve(
    app: ASGIApp,
    settings: ServerSettings,
    *,
    host: str,
    port: int,
    ready: Callable[[str], object] = lambda url: None,
) -> None:
    """Serve until SIGINT or SIGTERM, then finish requests in progress. Call it in the main thread.

    Port 0 selects a free one; ``ready`` is called with the URL once connections are accepted. Raises SettingsError if
    other machines could connect without a token, and CannotListen.
    """
    with listen(settings, host, port) as listener:
        server = make_server(app, settings)
        # uvicorn raises the signal that stopped it again, which would end the process before cleanup.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, server.handle_exit)
        ready(_url(listener))
        server.run(sockets=[listener])


def listen(settings: ServerSettings, host: str, port: int) -> socket.socket:
    """A listening socket. Raises SettingsError, CannotListen."""
    if not (settings.token or settings.open_address or is_loopback(host)):
        raise SettingsError(
            f"serving on {host} allows other machines to connect; set an API token (--token-file, or LYKEION_TOKEN)"
        )
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((host, port), family=family, backlog=CONNECTIONS)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # or each response is delayed by 40 ms
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux: or a client that stops reading keeps its connection
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(1_000 * (settings.timeout_s + 1)))
        return listener
    except OSError as error:
        raise CannotListen(f"cannot listen on {host} port {port}: {error.strerror or error}") from None


def make_server(
    app: ASGIApp,
    settings: ServerSettings,
    protocol: type[asyncio.Protocol] = AutoHTTPProtocol,
    websockets: type[asyncio.Protocol] | None = None,
) -> uvicorn.Server:
    limits = ConnectionLimits.of(settings)
    config = uvicorn.Config(
        app,
        http=bounded(protocol, limits),
        ws=websockets or "auto",
        backlog=max(1, min(ACCEPTED_AT_ONCE, limits.in_all // 8)),
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,  # or a client could choose the address that its requests are counted by
        ws_max_size=min(settings.max_body_bytes, MAX_MESSAGE_BYTES),
        timeout_graceful_shutdown=int(settings.timeout_s) + 1,
    )
    for name in ("asyncio", "uvicorn.error", "lykeion.web_kit"):
        logging.getLogger(name).addFilter(SPARING_LOG)
    return _Server(config)


@asynccontextmanager
async def serve_beside(
    app: ASGIApp,
    settings: ServerSettings,
    *,
    host: str,
    port: int,
    websockets: type[asyncio.Protocol] | None = None,
) -> AsyncGenerator[str, None]:
    """Serve in the running event loop, whose owner handles signals. Yields the URL. Raises what ``listen`` raises.

    ``websockets`` takes connections over that ask for a WebSocket; it does its own checks, which are the app's else.
    """
    with listen(settings, host, port) as listener:
        server = make_server(app, settings, websockets=websockets)
        server.capture_signals = nullcontext  # pyright: ignore[reportAttributeAccessIssue]
        task = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield _url(listener)
        finally:
            server.should_exit = True
            await asyncio.wait([task], timeout=settings.timeout_s)
            task.cancel()


def _url(listener: socket.socket) -> str:
    address, port = listener.getsockname()[:2]
    return f"http://{f'[{address}]' if ':' in address else address}:{port}"


class _Server(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listener in sockets or ():  # asyncio has one number for connections accepted at once and for the backlog
            listener.listen(CONNECTIONS)
