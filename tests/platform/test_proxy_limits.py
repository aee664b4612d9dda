"""Limits of the proxy on time and connections, made short; it runs in the test's own event loop."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from lykeion.platform.local.processes.free_port import free_port
from lykeion.platform.local.proxy import client_connection, exchange, proxy_server
from lykeion.platform.local.proxy.forwarder import Forwarder
from lykeion.platform.local.proxy.listeners import Listener
from lykeion.platform.local.proxy.proxy_server import ProxyServer
from lykeion.platform.local.proxy.route_table import RouteTable

from .proxies import ScriptedReplica, answering, group, rest, service

HEAD = b"POST /services/default/shop/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n"


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxy_server, "TICK_S", 0.01)
    for module, names in ((client_connection, ("HEAD_S", "IDLE_S")), (exchange, ("STALL_S", "RESPONSE_S"))):
        for name in names:
            monkeypatch.setattr(module, name, 0.2)


def _run(directory: Path, replica: ScriptedReplica, work: Callable[[int], Awaitable[bytes]]) -> bytes:
    """What ``work`` returns, which gets the port of a proxy before the replica."""

    async def run() -> bytes:
        async with _proxy(directory) as port, asyncio.timeout(30):
            return await work(port)

    RouteTable(1, (service("shop", group("stable", replica)),)).write(directory / "routes.json")
    try:
        return asyncio.run(run())
    finally:
        replica.close()


@asynccontextmanager
async def _proxy(directory: Path) -> AsyncIterator[int]:
    server, port = ProxyServer(Forwarder(directory)), free_port(())
    running = asyncio.create_task(server.run([Listener("127.0.0.1", port)]))
    await _until_it_listens(port)
    try:
        yield port
    finally:
        server.stop()
        await running


async def _until_it_listens(port: int) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.01)
            else:
                writer.close()
                return


def _answer_to(*parts: bytes) -> Callable[[int], Awaitable[bytes]]:
    async def ask(port: int) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for part in parts:
            writer.write(part)
        answer = await reader.read()
        writer.close()
        return answer

    return ask


def _silent() -> ScriptedReplica:
    return ScriptedReplica(lambda connection, head: rest(connection) and None)


def test_a_head_that_does_not_come_whole_in_time_is_refused(tmp_path: Path) -> None:
    answer = _run(tmp_path, _silent(), _answer_to(HEAD[:40]))
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert answer.endswith(b"no complete head came within 0.2 s\n")


def test_a_body_that_stops_coming_is_refused(tmp_path: Path) -> None:
    answer = _run(tmp_path, _silent(), _answer_to(HEAD % 100, b"half"))
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert answer.endswith(b"nothing of the body came for 0.2 s\n")


def test_a_replica_that_does_not_answer_in_time_is_given_up(tmp_path: Path) -> None:
    answer = _run(tmp_path, _silent(), _answer_to(HEAD % 4, b"body"))
    assert answer.startswith(b"HTTP/1.1 504 ")
    assert answer.endswith(b"the replica did nothing for 0.2 s\n")


def test_a_response_that_stops_coming_is_cut_off(tmp_path: Path) -> None:
    def half(connection: socket.socket, head: bytes) -> None:
        answering(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")(connection, head)
        rest(connection)

    async def ask(port: int) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(HEAD % 0)
        try:
            while part := await reader.read(1000):
                pass
        except ConnectionResetError:
            part = b""
        writer.close()
        return part

    assert _run(tmp_path, ScriptedReplica(half), ask) == b""


def test_a_client_that_takes_nothing_is_dropped(tmp_path: Path) -> None:
    gone = threading.Event()

    def much(connection: socket.socket, head: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        try:
            while True:
                connection.sendall(bytes(1 << 16))
        except OSError:
            gone.set()

    async def ask(port: int) -> bytes:
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(HEAD % 0)
            await asyncio.to_thread(gone.wait, 30)
        return b"gone" if gone.is_set() else b""

    assert _run(tmp_path, ScriptedReplica(much), ask) == b"gone"


def test_a_connection_without_requests_is_closed(tmp_path: Path) -> None:
    assert _run(tmp_path, _silent(), _answer_to()) == b""


def test_beyond_the_limit_of_connections_those_without_a_request_are_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proxy_server, "CONNECTIONS", 4)
    monkeypatch.setattr(client_connection, "HEAD_S", 600)
    monkeypatch.setattr(exchange, "RESPONSE_S", 600)

    async def crowd(port: int) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(HEAD % 0)
        idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(20)]
        closed = [asyncio.create_task(each.read()) for each, _ in idle]
        done, _ = await asyncio.wait(closed, return_when="FIRST_COMPLETED")
        while len(done) < 17:
            more, _ = await asyncio.wait(set(closed) - done, return_when="FIRST_COMPLETED")
            done |= more
        go.set()
        answer = await reader.readuntil(b"ok")
        for each in (writer, *(each for _, each in idle)):
            each.close()
        for task in closed:
            task.cancel()
        return answer

    go = threading.Event()

    def serve(connection: socket.socket, head: bytes) -> None:
        go.wait(30)
        answering()(connection, head)

    assert _run(tmp_path, ScriptedReplica(serve), crowd).startswith(b"HTTP/1.1 200 OK\r\n")
