"""A gateway in a process of its own, and devices that talk with it over real sockets."""

import secrets
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from lykeion.delivery.device_service import DeviceAdmission, FleetStore, open_fleet
from lykeion.delivery.device_sessions import add_broadcast, add_command
from lykeion.device.conversation import (
    DeviceSession,
    Frame,
    MessageFrame,
    SessionRecord,
    WelcomeFrame,
    read_frame,
    write_frame,
)

COMMAND = [sys.executable, "-c", "from lykeion.cli import main; main()"]


@dataclass
class GatewayProcess:
    """``home`` is the repository's, ``fleet`` the store's directory."""

    home: Path
    fleet: Path
    options: tuple[str, ...] = ()
    port: int = 0
    process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        arguments = ["gateway", "--repository", str(self.home), "--fleet", str(self.fleet), "--port", str(self.port)]
        arguments += ["--per-client", "1000", *self.options]
        self.process = subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, text=True)
        assert self.process.stdout
        line = self.process.stdout.readline()
        self.port = int(line.rsplit(":", 1)[-1])

    def kill(self) -> None:
        assert self.process
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        assert self.process
        self.process.terminate()
        return self.process.wait(60)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def run(self, *arguments: str, code: int = 0) -> str:
        command = [*COMMAND, *arguments]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert ended.returncode == code, ended.stderr
        return ended.stdout if code == 0 else ended.stderr

    def store(self) -> AbstractContextManager[FleetStore]:
        return closing(open_fleet(self.fleet))

    def token(self, uses: int) -> str:
        with self.store() as store:
            return DeviceAdmission(store, time.time).new_token(3_600, uses)

    def send(self, device: str, key: str, body: Any, valid_s: float = 3_600) -> None:
        with self.store() as store, store.transaction() as now:
            at = time.time()
            add_command(now, device, key, "test", body, at + valid_s, at, "test")

    def broadcast(self, group: str, body: Any, kept: int = 1_000) -> None:
        with self.store() as store, store.transaction() as now:
            add_broadcast(now, group, body, time.time(), "test", kept)


@dataclass
class SocketDevice:
    """A device whose disk is this object: what it kept and took outlives its connections."""

    gateway: GatewayProcess
    name: str = ""
    credential: str = ""
    session: DeviceSession = field(default_factory=lambda: DeviceSession(SessionRecord(secrets.token_bytes(16))))
    taken: list[Frame] = field(default_factory=list)
    welcomes: list[WelcomeFrame] = field(default_factory=list)
    socket: ClientConnection | None = None

    def enrol(self, token: str, **attributes: Any) -> None:
        key = Ed25519PrivateKey.generate().public_key().public_bytes_raw().hex()
        body = {"token": token, "public_key": key, "attributes": attributes}
        answer = httpx.post(f"{self.gateway.url}/v1/device/enrol", json=body, timeout=60, trust_env=False)
        assert answer.is_success, answer.text
        self.name, self.credential = answer.json()["device"], answer.json()["token"]

    def open(self, **options: Any) -> ClientConnection:
        headers = {"Authorization": f"Bearer {self.credential}"} | options.pop("headers", {})
        return connect(
            f"ws://127.0.0.1:{self.gateway.port}/v1/device/conversation",
            subprotocols=["lykeion.v1"],
            additional_headers=headers,
            compression=None,
            proxy=None,
            open_timeout=60,
            **options,
        ).__enter__()

    def connect(self) -> WelcomeFrame:
        self.socket = self.open()
        self.say(self.session.hello())
        self.until(lambda: self.session.open)
        return self.welcomes[-1]

    def say(self, *frames: Frame) -> None:
        assert self.socket
        for frame in frames:
            self.socket.send(write_frame(frame))

    def report(self, number: int, name: str = "seen") -> None:
        event = {"id": number, "kind": "event", "name": name, "at": float(number), "fields": {"n": number}}
        self.session.put("events", {"events": [event], "dropped": {}})

    def state(self, **models: int) -> None:
        running = {
            model: {"running": number, "file": "", "step": "idle", "failed": 0, "cause": ""}
            for model, number in models.items()
        }
        body = {"software": "1", "runtime": "2.1.0", "attributes": {}, "models": running}
        self.session.put("state", body)

    def until(self, done: Callable[[], bool], timeout_s: float = 60) -> None:
        """Send what is due and take what comes, until something is so."""
        assert self.socket
        self.say(*self.session.due())
        while not done():
            given = self.session.receive(read_frame(self.socket.recv(timeout=timeout_s)))
            if isinstance(given, WelcomeFrame):
                self.welcomes.append(given)
            elif given is not None:
                self.taken.append(given)
            if isinstance(given, MessageFrame):
                self.session.on_disk(given.number)
            self.say(*self.session.due())

    def all_taken(self) -> bool:
        return len(self.session.outgoing) == 0

    def of(self, kind: type) -> list[Any]:
        return [each for each in self.taken if isinstance(each, kind)]


def end_of(socket: ClientConnection) -> str:
    """Why the gateway has closed it."""
    try:
        while True:
            socket.recv(timeout=60)
    except ConnectionClosed as closed:
        return str(closed)
