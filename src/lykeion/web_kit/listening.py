"""Listening: a socket bound as the settings allow, and uvicorn on it until told to stop."""

import asyncio
import logging
import signal
import socket
from collections.abc import Callable

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
"""Of one message of a WebSocket."""
SPARING_LOG = SparingLog()


class CannotListen(Unavailable):
    """The address is taken, or not this machine's."""


def serve(
    app: ASGIApp,
    settings: ServerSettings,
    *,
    host: str,
    port: int,
    ready: Callable[[str], object] = lambda url: None,
) -> None:
    """Serve until SIGINT or SIGTERM: then requests under way finish. In the main thread.

    Port 0 takes a free one; ``ready`` is told the URL once connections are accepted. Raises SettingsError where other
    machines could ask without a token, and CannotListen.
    """
    with listen(settings, host, port) as listener:
        server = make_server(app, settings)
        # uvicorn raises the signal that stopped it once more, which would end the process before cleanup.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, server.handle_exit)
        address, bound_port = listener.getsockname()[:2]
        ready(f"http://{f'[{address}]' if ':' in address else address}:{bound_port}")
        server.run(sockets=[listener])


def listen(settings: ServerSettings, host: str, port: int) -> socket.socket:
    """A listening socket. Raises SettingsError, CannotListen."""
    if not settings.token and not is_loopback(host):
        raise SettingsError(
            f"serving {host} lets other machines ask: give an API token (--token-file, or LYKEION_TOKEN)"
        )
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((host, port), family=family, backlog=CONNECTIONS)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # or each answer waits 40 ms for company
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux: or who stops reading an answer holds its connection for ever
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(1_000 * (settings.timeout_s + 1)))
        return listener
    except OSError as error:
        raise CannotListen(f"cannot listen on {host} port {port}: {error.strerror or error}") from None


def make_server(
    app: ASGIApp, settings: ServerSettings, protocol: type[asyncio.Protocol] = AutoHTTPProtocol
) -> uvicorn.Server:
    limits = ConnectionLimits.of(settings)
    config = uvicorn.Config(
        app,
        http=bounded(protocol, limits),
        backlog=max(1, min(ACCEPTED_AT_ONCE, limits.in_all // 8)),
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,  # or a client would name the address that its requests are counted by
        ws_max_size=min(settings.max_body_bytes, MAX_MESSAGE_BYTES),
        timeout_graceful_shutdown=int(settings.timeout_s) + 1,
    )
    for name in ("asyncio", "uvicorn.error", "lykeion.web_kit"):
        logging.getLogger(name).addFilter(SPARING_LOG)
    return _Server(config)


class _Server(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listener in sockets or ():  # asyncio has one number for what it accepts at once and what may wait for it
            listener.listen(CONNECTIONS)
