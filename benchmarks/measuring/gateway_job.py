"""Load for benchmarks/gateway.py: connections that keep so many messages under way, in a process of their own.

    python gateway_job.py picows|picows-tls|gateway|mosquitto PORT SECONDS CONNECTIONS WINDOW SERVER [CREDENTIALS]

Prints as JSON how many messages a second were echoed or acknowledged, how many connections a second were made, and
the processor time a message of the process SERVER, and of this one.
"""

import asyncio
import json
import os
import resource
import secrets
import ssl
import struct
import sys
import time
from pathlib import Path
from typing import Any

from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from lykeion.device.conversation import (
    AckFrame,
    HelloFrame,
    MessageFrame,
    WelcomeFrame,
    read_frame,
    write_frame,
)

BYTES = 256


class Load:
    """``done`` counts what came back."""

    def __init__(self, window: int) -> None:
        self.window, self.done = window, 0


class EchoClient(WSListener):
    def __init__(self, load: Load) -> None:
        self.load, self.body = load, secrets.token_bytes(BYTES)

    def on_ws_connected(self, transport: WSTransport) -> None:
        for _ in range(self.load.window):
            transport.send(WSMsgType.BINARY, self.body)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        self.load.done += 1
        transport.send(WSMsgType.BINARY, self.body)


class GatewayClient(WSListener):
    """Sends events, numbered: the frame is encoded once, and its numbers are put in."""

    def __init__(self, load: Load) -> None:
        self.load, self.next, self.acknowledged = load, 1, 0
        event = {"id": 1 << 20, "kind": "event", "name": "echo", "at": 1.0, "fields": {"body": "x" * (BYTES - 60)}}
        frame = write_frame(MessageFrame(1 << 20, "events", {"events": [event], "dropped": {}}))
        mark = b"\x1a" + struct.pack(">I", 1 << 20)
        self.parts = frame.split(mark)
        assert len(self.parts) == 3

    def on_ws_connected(self, transport: WSTransport) -> None:
        hello = HelloFrame(secrets.token_bytes(16), 0, 0, 1, 1, 64, {})
        transport.send(WSMsgType.BINARY, write_frame(hello))

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type != WSMsgType.BINARY:
            return
        given = read_frame(frame.get_payload_as_bytes())
        if isinstance(given, AckFrame):
            self.load.done += given.number - self.acknowledged
            self.acknowledged = given.number
        elif not isinstance(given, WelcomeFrame):
            return
        while self.next <= self.acknowledged + self.load.window:
            number = b"\x1a" + struct.pack(">I", self.next)
            transport.send(WSMsgType.BINARY, number.join(self.parts))
            self.next += 1


class MqttClient(asyncio.Protocol):
    """MQTT 3.1.1: publishes with QoS 1; counts PUBACKs."""

    def __init__(self, load: Load, name: str) -> None:
        self.load, self.name, self.next, self.rest = load, name, 1, b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        client = self.name.encode()
        body = b"\x00\x04MQTT\x04\x00\x00\x3c" + struct.pack(">H", len(client)) + client  # a session that is kept
        transport.write(b"\x10" + bytes([len(body)]) + body)

    def data_received(self, data: bytes) -> None:
        data = self.rest + data
        place = 0
        while place + 4 <= len(data):
            kind = data[place] >> 4
            place += 4  # CONNACK and PUBACK both have four bytes
            if kind == 2:
                for _ in range(self.load.window):
                    self.publish()
            elif kind == 4:
                self.load.done += 1
                self.publish()
        self.rest = data[place:]

    def publish(self) -> None:
        topic = f"devices/{self.name}".encode()
        body = struct.pack(">H", len(topic)) + topic + struct.pack(">H", self.next) + b"x" * BYTES
        size = len(body)
        self.transport.write(bytes([0x32, (size & 0x7F) | 0x80, size >> 7]) + body)
        self.next = self.next % 65_535 + 1


async def main(
    kind: str, port: int, seconds: float, connections: int, window: int, server: int, credentials: str = ""
) -> None:
    load, loop = Load(window), asyncio.get_running_loop()
    started = time.perf_counter()
    if kind == "mosquitto":
        for number in range(connections):
            await loop.create_connection(lambda n=number: MqttClient(load, f"load-{n}"), "127.0.0.1", port)
    elif kind in ("picows", "picows-tls"):
        await _connect_all(load, port, connections, kind == "picows-tls")
    else:
        for credential in json.loads(Path(credentials).read_text())[:connections]:
            headers = {"Authorization": f"Bearer {credential}", "Sec-WebSocket-Protocol": "lykeion.v1"}
            address = f"ws://127.0.0.1:{port}/v1/device/conversation"
            await ws_connect(lambda: GatewayClient(load), address, extra_headers=headers)
    connected_s = time.perf_counter() - started
    await asyncio.sleep(1)
    before, began, used = load.done, time.perf_counter(), (processor_s(server), time.process_time())
    await asyncio.sleep(seconds)
    done = load.done - before
    found = {
        "messages": done / (time.perf_counter() - began),
        "connects": connections / connected_s,
        "connections": connections,
        "server_us": 1e6 * (processor_s(server) - used[0]) / done,
        "client_us": 1e6 * (time.process_time() - used[1]) / done,
    }
    sys.stdout.write(json.dumps(found) + "\n")


def processor_s(pid: int) -> float:
    """Of a process and its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def _connect_all(load: Load, port: int, connections: int, tls: bool) -> None:
    """Fifty at a time."""
    context = ssl._create_unverified_context() if tls else None
    turn = asyncio.Semaphore(50)
    address = f"{'wss' if tls else 'ws'}://127.0.0.1:{port}/"

    async def connect() -> None:
        async with turn:
            await ws_connect(
                lambda: EchoClient(load), address, ssl_context=context, websocket_handshake_timeout=60,
                read_buffer_init_size=2_048,
            )  # fmt: skip

    await asyncio.gather(*(connect() for _ in range(connections)))


if __name__ == "__main__":
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    kind, port, seconds, connections, window, server, *rest = sys.argv[1:]
    asyncio.run(main(kind, int(port), float(seconds), int(connections), int(window), int(server), *rest))
