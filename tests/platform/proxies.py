"""A proxy as a process, and replicas that do what a test tells them to."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from lykeion.platform.local.processes.free_port import free_port
from lykeion.platform.local.proxy.proxy_settings import ProxySettings, TlsListener
from lykeion.platform.local.proxy.route_table import RoutedGroup, RoutedService, RouteTable, ServingReplica

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
Serve = Callable[[socket.socket, bytes], None]


@dataclass
class ScriptedReplica:
    """Answers each connection by ``serve``, which gets the first bytes; ``heads`` are those of all connections."""

    serve: Serve
    listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))
    heads: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.port: int = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        with suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            if head := until(connection, b"\r\n\r\n"):
                self.heads.append(head)
                self.serve(connection, head)


def until(connection: socket.socket, end: bytes) -> bytes:
    """What is received up to ``end``, and what has come with it."""
    data = b""
    while end not in data and (more := connection.recv(65536)):
        data += more
    return data


def rest(connection: socket.socket) -> bytes:
    """What is received until the connection is closed, one way or the other."""
    data = b""
    with suppress(ConnectionResetError):
        while more := connection.recv(65536):
            data += more
    return data


def answering(response: bytes = OK) -> Serve:
    return lambda connection, head: connection.sendall(response)


@dataclass
class ProxyProcess:
    directory: Path
    port: int
    process: subprocess.Popen[bytes]
    version: int = 0

    def route(self, *services: RoutedService) -> None:
        """Returns once the proxy uses them."""
        self.version += 1
        RouteTable(self.version, services).write(self.directory / "routes.json")
        wait_until(lambda: f"table_version {self.version}.0" in self.metrics())

    def shop(self, *replicas: ScriptedReplica) -> None:
        """The service ``shop`` of the namespace ``default``, by one group."""
        self.route(service("shop", group("stable", *replicas)))

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def send(self, *parts: bytes) -> bytes:
        """What comes in answer to these bytes until the connection is closed."""
        with self.connect() as connection:
            with suppress(BrokenPipeError, ConnectionResetError):
                for part in parts:
                    connection.sendall(part)
            return rest(connection)

    def get(self, path: str = "/services/default/shop/", *headers: str, method: str = "GET") -> bytes:
        """The response to a request that is the last of its connection."""
        lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{self.port}", *headers, "Connection: close", "", ""]
        return self.send("\r\n".join(lines).encode())

    def metrics(self) -> str:
        return self.get("/metrics").decode()

    def metric(self, name: str) -> float:
        """The sum of a metric over its labels."""
        found = re.findall(rf"^lykeion_proxy_{name}(?:{{.*}})? (\S+)$", self.metrics(), re.MULTILINE)
        return sum(map(float, found))

    def requests(self) -> list[dict[str, Any]]:
        """What the log says, once it says it."""
        log = self.directory / "requests.log"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


@contextmanager
def proxy_process(directory: Path, elsewhere: TlsListener | None = None) -> Generator[ProxyProcess]:
    port = free_port(())
    ProxySettings(port, elsewhere).write(directory)
    command = [sys.executable, "-m", "lykeion.platform.local.proxy", str(directory)]
    process = subprocess.Popen(command, env=os.environ)
    made = ProxyProcess(directory, port, process)
    try:
        wait_until(lambda: _listens(made))
        yield made
    finally:
        process.kill()
        process.wait()


def service(name: str, *groups: RoutedGroup, namespace: str = "default") -> RoutedService:
    return RoutedService(namespace, f"{name}-route", name, groups)


def group(name: str, *replicas: ScriptedReplica, weight: int = 1) -> RoutedGroup:
    return RoutedGroup(name, weight, tuple(ServingReplica(f"{name}/{each.port}", each.port) for each in replicas))


def wait_until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def _listens(proxy: ProxyProcess) -> bool:
    assert proxy.process.poll() is None
    with suppress(OSError):
        return proxy.get("/healthz").endswith(b"ok\n")
    return False


def write_certificate(certificate: Path, key: Path, *hosts: str) -> None:
    """One for these names and addresses, or localhost, signed by itself."""
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([*map(_general_name, hosts or ("localhost",))]), critical=False)
        .sign(private, hashes.SHA256())
    )
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    key.write_bytes(private.private_bytes(*form))


def _general_name(host: str) -> x509.GeneralName:
    with suppress(ValueError):
        return x509.IPAddress(ip_address(host))
    return x509.DNSName(host)
