"""Frames over WebSockets, on the port of the server: uvicorn hands the connection over when it asks for an upgrade.

picows reads and writes: it takes less memory and time a message than what uvicorn has by itself.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from picows import (
    WSAutoPingStrategy,
    WSCloseCode,
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
)
from picows.picows import WSProtocol  # pyright: ignore[reportAttributeAccessIssue]

from lykeion.device.conversation import MAX_QUERY_BYTES, PROTOCOL, spread_s
from lykeion.web_kit import Refusal, SparingLog

PATH = b"/v1/device/conversation"
BEARER = "bearer."
PING_S, PONG_S = 30.0, 20.0
HANDSHAKE_S = 10.0
BUFFER_BYTES = 2_048
"""For reading, of each connection; it grows with what comes."""
BEHIND_BYTES = 256 << 10
"""A device for which so much is under way is sent no more until it reads."""
_SPARING = SparingLog()
"""picows has a line for each connection that sends what is no WebSocket's."""


class SocketUser(Protocol):
    """What is at our end of a WebSocket."""

    def received(self, data: bytes) -> None: ...

    def flush(self) -> None: ...

    def lost(self) -> None: ...


Opener = Callable[[WSUpgradeRequest, "DeviceSocket"], SocketUser | Refusal]


class DeviceSocket(WSListener):
    """A link to a device."""

    def __init__(self) -> None:
        self.full = False
        self.full_since: float | None = None
        self.user: SocketUser | None = None
        self._transport: WSTransport | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        transport.underlying_transport.set_write_buffer_limits(high=BEHIND_BYTES)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.BINARY and frame.fin and self.user:
            self.user.received(frame.get_payload_as_bytes())
        elif frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(WSCloseCode.OK)
            transport.disconnect()
        elif frame.msg_type == WSMsgType.PING:
            if not self.full:  # or pongs would pile up for a device that sends and does not read
                transport.send_pong(frame.get_payload_as_bytes())
        elif frame.msg_type != WSMsgType.PONG:
            self.close("a frame is one binary message")

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        if self.user:
            self.user.lost()

    def pause_writing(self) -> None:
        self.full, self.full_since = True, asyncio.get_running_loop().time()

    def resume_writing(self) -> None:
        self.full, self.full_since = False, None
        if self.user:
            self.user.flush()

    def pause_reading(self) -> None:
        if self._transport and not self._transport.is_disconnected:
            self._transport.underlying_transport.pause_reading()

    def resume_reading(self) -> None:
        if self._transport and not self._transport.is_disconnected:
            self._transport.underlying_transport.resume_reading()

    def send(self, data: bytes) -> None:
        if self._transport and not self._transport.is_disconnected:
            self._transport.send(WSMsgType.BINARY, data)

    def close(self, why: str) -> None:
        transport = self._transport
        if transport is None or transport.is_disconnected:
            return
        if self.full:
            transport.disconnect(graceful=False)
            return
        transport.send_close(WSCloseCode.POLICY_VIOLATION, why.encode()[:120].decode(errors="ignore").encode())
        transport.disconnect()


def websocket_protocol(opened: Opener) -> type[asyncio.Protocol]:
    """A protocol for uvicorn. ``opened`` gives the user of a connection, or says why there is none."""
    chance = random.SystemRandom()
    logger = logging.LoggerAdapter(logging.getLogger("lykeion.delivery.gateway"))  # picows makes a child of a Logger
    logger.logger.setLevel(logging.ERROR)
    logger.logger.addFilter(_SPARING)

    def listener(request: WSUpgradeRequest) -> WSUpgradeResponseWithListener:
        if request.path.partition(b"?")[0] != PATH:
            return _refused(Refusal(404, "there is no such WebSocket"))
        if PROTOCOL not in offered(request):
            return _refused(Refusal(400, f"the subprotocol {PROTOCOL} has to be asked for"))
        socket = DeviceSocket()
        user = opened(request, socket)
        if isinstance(user, Refusal):
            return _refused(user)
        socket.user = user
        answer = WSUpgradeResponse.create_101_response({"Sec-WebSocket-Protocol": PROTOCOL})
        return WSUpgradeResponseWithListener(answer, socket)

    class Upgraded(WSProtocol):
        def __init__(self, **_: Any) -> None:
            super().__init__(
                None, None, False, listener, logger, True, HANDSHAKE_S, True, spread_s(PING_S, chance), PONG_S,
                WSAutoPingStrategy.PING_WHEN_IDLE, False, MAX_QUERY_BYTES + 1_024, None, BUFFER_BYTES,
            )  # fmt: skip

        def data_received(self, data: bytes) -> None:
            """The request, from uvicorn; what follows is read into the buffer."""
            while data:
                room = self.get_buffer(-1)
                part = min(len(room), len(data))
                room[:part] = data[:part]
                data = data[part:]
                self.buffer_updated(part)

    return Upgraded


def offered(request: WSUpgradeRequest) -> Sequence[str]:
    """The subprotocols that are asked for."""
    values = request.headers.getall("Sec-WebSocket-Protocol", [])
    return [each.strip() for value in values for each in value.split(",")]


def credential(request: WSUpgradeRequest) -> str:
    """In the header, or for browsers in a subprotocol; empty if there is none."""
    values = request.headers.getall("Authorization", [])
    scheme, _, token = values[0].partition(" ") if len(values) == 1 else ("", "", "")
    if scheme.lower() == "bearer":
        return token.strip()
    return next((each.removeprefix(BEARER) for each in offered(request) if each.startswith(BEARER)), "")


def _refused(refusal: Refusal) -> WSUpgradeResponseWithListener:
    answer = WSUpgradeResponse.create_error_response(refusal.status, refusal.message.encode(), dict(refusal.headers))
    return WSUpgradeResponseWithListener(answer, None)
