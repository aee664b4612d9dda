"""One simulated device: what it does next is drawn from its own seed, so that a run can be repeated."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from picows import WSError, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from lykeion.device.conversation import (
    PROTOCOL,
    AckFrame,
    BroadcastFrame,
    ByeFrame,
    DesiredFrame,
    DeviceSession,
    FrameError,
    MessageFrame,
    NotInTurn,
    OldGateway,
    SessionRecord,
    WelcomeFrame,
    first_wait_s,
    read_frame,
    reconnect_delay_s,
    spread_s,
    write_frame,
)

FAULTS = ("cut", "half_open", "repeat", "reorder", "restart", "leave", "bad_model")
HALF_OPEN_S = 5.0
LEAVE_S = 3.0


@dataclass
class SwarmCounts:
    """Of all devices of a process."""

    counts: Counter[str] = field(default_factory=Counter[str])
    acknowledged_ms: list[float] = field(default_factory=list[float])
    broadcast_at: list[float] = field(default_factory=list[float])
    open: int = 0


@dataclass
class SimulatedDevice:
    """``every_s`` is between two reports, ``faults`` the chance of one at each step, ``skew_s`` how wrong its clock
    is. ``most`` messages are kept while there is no gateway."""

    name: str
    credential: str
    url: str
    chance: random.Random
    counts: SwarmCounts
    every_s: float = 10.0
    faults: float = 0.0
    skew_s: float = 0.0
    most: int = 1_000

    def __post_init__(self) -> None:
        self.session = DeviceSession(SessionRecord(self.chance.randbytes(16)), most=self.most)
        self.put = self.dropped = self.acknowledged = 0
        self._sent_at: dict[int, float] = {}
        self._socket: _Socket | None = None
        self._half_open: list[_Socket] = []

    @property
    def told(self) -> tuple[int, int, int]:
        """For ``check_store``."""
        events = sum(1 for frame in self.session.outgoing.kept() if frame.name == "events")
        return self.acknowledged, self.put, self.dropped + events

    async def run(self, stop: asyncio.Event, connect_within_s: float) -> None:
        await _wait(stop, first_wait_s(connect_within_s, self.chance))
        failures, after_s = 0, 0.0
        while not stop.is_set():
            try:
                after_s = await self._converse(stop)
                failures = 0
            except (OSError, WSError, TimeoutError, NotInTurn, FrameError, OldGateway) as error:
                self.counts.counts[f"failed: {type(error).__name__}"] += 1
                failures, after_s = failures + 1, _retry_after(error)
            self._lost()
            if not stop.is_set():
                await _wait(stop, reconnect_delay_s(failures, after_s, self.chance))

    async def _converse(self, stop: asyncio.Event) -> float:
        """Until the connection ends; after how many seconds to come back."""
        headers = {"Authorization": f"Bearer {self.credential}", "Sec-WebSocket-Protocol": PROTOCOL}
        self.session.open = False
        _, listener = await ws_connect(
            lambda: _Socket(self._receive),
            f"ws{self.url.removeprefix('http')}/v1/device/conversation",
            extra_headers=headers,
            websocket_handshake_timeout=60,
            read_buffer_init_size=2_048,
            max_frame_size=1 << 23,
        )
        if not isinstance(listener, _Socket):
            raise ConnectionResetError("the connection ended before it was a WebSocket")
        socket = self._socket = listener
        socket.send(write_frame(self.session.hello()))
        step_at = time.monotonic() + first_wait_s(self.every_s, self.chance)
        while not stop.is_set() and not socket.ended.is_set():
            wait_s = step_at - time.monotonic()
            if wait_s > 0:
                await _wait(socket.ended, wait_s, stop)
                continue
            step_at = time.monotonic() + spread_s(self.every_s, self.chance)
            if self.session.open:
                self.report()
                if self.chance.random() < self.faults and self._fault(self.chance.choice(FAULTS), socket):
                    break
                self._send()
        if stop.is_set():
            socket.close()
        return socket.after_s

    def report(self, body: str = "") -> None:
        """An event, which is sent when it may."""
        self.put += 1
        at = time.time() + self.skew_s
        event = {"id": self.put, "kind": "event", "name": "simulated", "at": at, "fields": {"body": body}}
        made, dropped = self.session.put("events", {"events": [event], "dropped": {}})
        self._sent_at[made.number] = time.perf_counter()
        for each in dropped:
            self._sent_at.pop(each.number, None)
            self.dropped += each.name == "events"
            self.counts.counts["dropped"] += 1

    def send(self) -> None:
        if self.session.open:
            self._send()

    def _receive(self, data: bytes, socket: "_Socket") -> None:
        if socket is not self._socket:
            return
        given = self.session.receive(read_frame(data))
        counts = self.counts.counts
        match given:
            case WelcomeFrame():
                counts["welcomes"] += 1
                self.counts.open += 1
                socket.welcomed = True
                self.acknowledged = max(self.acknowledged, given.received)
                for reset in given.resets:
                    counts[f"reset: {reset.what}"] += 1
            case AckFrame():
                self._acknowledged(given)
            case MessageFrame():
                counts["commands"] += 1
                self.session.on_disk(given.number)
                key = given.body["key"] if isinstance(given.body, dict) else ""
                self.session.put("result", {"key": key, "ok": True, "said": None})
            case BroadcastFrame():
                counts["broadcasts"] += 1
                self.counts.broadcast_at.append(time.time())
            case DesiredFrame():
                counts["desired"] += 1
            case ByeFrame():
                counts[f"bye: {given.why[:40]}"] += 1
                socket.after_s = float(given.after_s)
            case _:
                pass
        self._send()

    def _acknowledged(self, ack: AckFrame) -> None:
        now = time.perf_counter()
        for number in range(self.acknowledged + 1, ack.number + 1):
            if (since := self._sent_at.pop(number, None)) is not None:
                self.counts.acknowledged_ms.append(1e3 * (now - since))
        self.counts.counts["acknowledged"] += max(0, ack.number - self.acknowledged)
        self.acknowledged = max(self.acknowledged, ack.number)

    def _send(self) -> None:
        if self._socket:
            for frame in self.session.due():
                self._socket.send(write_frame(frame))

    def _fault(self, kind: str, socket: "_Socket") -> bool:
        """Whether the connection is given up."""
        self.counts.counts[f"fault: {kind}"] += 1
        match kind:
            case "cut":
                self._send()
                socket.abort()
            case "half_open":  # the gateway does not hear that the device is gone
                socket.pause()
                self._half_open.append(socket)
                asyncio.get_running_loop().call_later(HALF_OPEN_S, self._end_half_open, socket)
            case "restart":  # from what is on disk
                outgoing = self.session.outgoing
                record, kept = self.session.record, outgoing.kept()
                self.session = DeviceSession(record, kept, outgoing.first, self.most)
                socket.abort()
            case "leave":
                socket.after_s = LEAVE_S
                socket.close()
            case "repeat":
                frames = self.session.due()
                for frame in [*frames, *frames]:
                    socket.send(write_frame(frame))
                return False
            case "reorder":
                self.report()
                for frame in reversed(self.session.due()):
                    socket.send(write_frame(frame))
                return False
            case _:
                model = {"running": 0, "file": "", "step": "idle", "failed": 1, "cause": "it does not load"}
                state = {"software": "0", "runtime": "0", "attributes": {}, "models": {"simulated": model}}
                self.session.put("state", state)
                return False
        return True

    def _end_half_open(self, socket: "_Socket") -> None:
        self._half_open.remove(socket)
        socket.abort()

    def _lost(self) -> None:
        if self._socket and self._socket.welcomed:
            self.counts.open -= 1
        self._socket = None


class _Socket(WSListener):
    def __init__(self, receive: "Callable[[bytes, _Socket], None]") -> None:
        self.ended, self.after_s, self.welcomed = asyncio.Event(), 0.0, False
        self._receive = receive
        self._transport: WSTransport | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.BINARY:
            try:
                self._receive(frame.get_payload_as_bytes(), self)
            except (NotInTurn, FrameError, OldGateway):
                transport.disconnect()
        elif frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.ended.set()

    def pause_writing(self) -> None:
        pass

    def resume_writing(self) -> None:
        pass

    def send(self, data: bytes) -> None:
        if self._transport and not self._transport.is_disconnected:
            self._transport.send(WSMsgType.BINARY, data)

    def pause(self) -> None:
        if self._transport:
            self._transport.underlying_transport.pause_reading()

    def abort(self) -> None:
        if self._transport:
            self._transport.underlying_transport.abort()

    def close(self) -> None:
        if self._transport and not self._transport.is_disconnected:
            self._transport.send_close()
            self._transport.disconnect()


async def _wait(event: asyncio.Event, seconds: float, other: asyncio.Event | None = None) -> None:
    """For the event, at most so long; ``other`` is looked at twice a second."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0 and not event.is_set() and not (other and other.is_set()):
        try:
            async with asyncio.timeout(min(left, 0.5) if other else left):
                await event.wait()
        except TimeoutError:
            continue


def _retry_after(error: Exception) -> float:
    """What a refusal of the upgrade asks for."""
    headers: Any = getattr(getattr(error, "response", None), "headers", {})
    value = headers.get("Retry-After", "")
    return float(value) if value.isdecimal() else 0.0
