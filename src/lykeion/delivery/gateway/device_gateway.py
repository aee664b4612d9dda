"""The gateway: what it adds to the server of a fleet."""

import asyncio
import logging
from collections.abc import Sequence

from fastapi import APIRouter
from picows import WSUpgradeRequest
from prometheus_client.registry import Collector

from lykeion.core import LykeionError, first_line
from lykeion.delivery.device_service import (
    DeviceAdmission,
    FleetParts,
    NotADevice,
    PostgresStore,
    one_device,
    open_fleet,
)
from lykeion.search.service import ServedCatalogue
from lykeion.web_kit import Refusal, SparingLog, Workers, refuse_host, refuse_origin

from .browser_client import BROWSER_CLIENT, browser_client
from .connect_rate import CONNECTS_A_SECOND, ConnectRate
from .device_connection import DeviceConnection, Link
from .device_hub import DeviceHub, known_device
from .device_polling import WAIT_S, polling_routes
from .device_queries import DeviceQueries
from .device_websocket import DeviceSocket, SocketUser, credential, websocket_protocol
from .session_writer import SessionWriter

RETURN_S = 30.0
"""Within which devices come back to a gateway that was stopped."""
_log = logging.getLogger("lykeion.delivery")
_log.addFilter(SparingLog())


class DeviceGateway:
    """Beside a fleet's server, with an index that devices may search. Made in the event loop."""

    def __init__(
        self, parts: FleetParts, served: ServedCatalogue | None = None, connects_a_second: float = CONNECTS_A_SECOND
    ) -> None:
        self._parts = parts
        self._reading, writing, noting = (open_fleet(parts.directory, parts.state) for _ in range(3))
        self._admission = DeviceAdmission(self._reading, parts.clock)
        self._stores = self._reading, writing, noting
        self._uses, self._noting = set[asyncio.Task[None]](), DeviceAdmission(noting, parts.clock)
        """The event loop reads by a store of its own, where it does not wait for what is written."""
        self._workers = Workers(parts.settings.threads, parts.settings.waiting)
        self._commit = SessionWriter(writing)
        self.hub = DeviceHub(parts, self._reading, self._commit, DeviceQueries(served, self._workers))
        self._rate = ConnectRate(connects_a_second)
        self.websockets = websocket_protocol(self._opened)

    def routes(self) -> APIRouter:
        routes = polling_routes(self._admitted, min(WAIT_S, 0.8 * self._parts.settings.timeout_s))
        routes.add_route(BROWSER_CLIENT, browser_client, include_in_schema=False)
        return routes

    def collectors(self) -> Sequence[Collector]:
        return self.hub.metrics.collectors()

    async def run(self) -> None:
        store, loop = self._reading, asyncio.get_running_loop()
        end = (
            (lambda: None)
            if not isinstance(store, PostgresStore)
            else store.listen(lambda: loop.call_soon_threadsafe(self.hub.look_soon))
        )
        try:
            await self.hub.load_broadcasts()
            await self.hub.run()
        finally:
            end()
            self.hub.end_all("the gateway is stopped", RETURN_S)
            self._commit.close()
            self._workers.close()
            for each in self._stores:
                each.close()

    def _opened(self, request: WSUpgradeRequest, socket: DeviceSocket) -> SocketUser | Refusal:
        allowed = self._parts.settings.allowed_hosts
        hosts = request.headers.getall("Host", [])
        if refusal := refuse_host(hosts, allowed) or refuse_origin(
            request.headers.getall("Origin", []), hosts[0], allowed
        ):
            return refusal
        try:
            return self._admitted(credential(request), socket)
        except NotADevice as error:
            return Refusal(401, str(error), {"WWW-Authenticate": "Bearer"})

    def _admitted(self, token: str, link: Link) -> SocketUser | Refusal:
        """Raises NotADevice."""
        name, expires = known_device(self._admission, token)
        if wait_s := self._rate.take():
            self.hub.metrics.not_admitted.inc()
            return Refusal(503, "too many devices connect", {"Retry-After": str(wait_s)})
        record = one_device(self._reading, name)
        connection = self.hub.open(name, record.attributes, expires, link)
        task = asyncio.get_running_loop().create_task(self._note_use(token, connection))
        self._uses.add(task)
        task.add_done_callback(self._uses.discard)
        return connection

    async def _note_use(self, token: str, connection: DeviceConnection) -> None:
        """By which a key that is in use twice is noticed; whoever has the older credential is disconnected."""
        try:
            await asyncio.to_thread(self._noting.device_of, token)
        except NotADevice as error:
            connection.close(str(error), "revoked")
        except LykeionError as error:
            _log.warning("%s", first_line(error))
