"""The proxy as a server: its listeners and connections, and what is done now and then."""

import asyncio
import logging
import resource
from collections.abc import Sequence

from .client_connection import ClientConnection
from .forwarder import Forwarder
from .listeners import Listener

TICK_S = 0.1
CONNECTIONS = 2_048
BACKLOG = 512
DRAIN_S = 8.0
"""For requests in flight when the proxy is told to end: less than the time after which it is killed."""

_log = logging.getLogger("lykeion.platform.proxy")


class ProxyServer:
    """Answers clients by ``forwarder`` until told to ``stop``."""

    def __init__(self, forwarder: Forwarder) -> None:
        self._forwarder = forwarder
        self._connections: set[ClientConnection] = set()
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self._limit = CONNECTIONS if files == resource.RLIM_INFINITY else min(CONNECTIONS, files // 3)
        self._stop = asyncio.Event()

    async def run(self, listeners: Sequence[Listener]) -> None:
        """Raises OSError if an address cannot be used."""
        loop = asyncio.get_running_loop()
        self._tick()
        servers = [
            await loop.create_server(
                lambda each=each: ClientConnection(self._forwarder, each, self._connections),
                each.host,
                each.port,
                ssl=each.tls,
                backlog=BACKLOG,
            )
            for each in listeners
        ]
        while not self._stop.is_set():
            await asyncio.sleep(TICK_S)
            self._tick()
        for each in servers:
            each.close()
        await self._drain()

    def stop(self) -> None:
        self._stop.set()

    def _tick(self) -> None:
        now = asyncio.get_running_loop().time()
        for each in [each for each in self._connections if each.deadline is not None and each.deadline <= now]:
            each.late()
        self._make_room()
        self._forwarder.follow_table()
        try:
            self._forwarder.requests.flush()
        except OSError as error:
            _log.warning("%s", error)

    def _make_room(self) -> None:
        """Beyond the limit, close the connections that have been idle longest, then others."""
        if (excess := len(self._connections) - self._limit) > 0:
            order = sorted(self._connections, key=lambda each: (bool(each.exchange), each.deadline or 0.0))
            for each in order[:excess]:
                each.transport.abort()

    async def _drain(self) -> None:
        """Let requests in flight end, for a time."""
        self._forwarder.stopping = True
        for each in [each for each in self._connections if not each.exchange]:
            each.transport.abort()
        deadline = asyncio.get_running_loop().time() + DRAIN_S
        while self._connections and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(TICK_S)
            self._tick()
        self._forwarder.requests.flush()
