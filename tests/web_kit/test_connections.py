"""Connections that never ask, against servers on real sockets, with each parser of HTTP that uvicorn may use."""

import importlib.util
import socket
import threading
from collections.abc import Iterator

import pytest

from lykeion.web_kit import ServerSettings, read_proxies
from lykeion.web_kit.connection_limits import CONNECTIONS, ConnectionLimits

from .tiny import Tiny, exchange, serving

WHOLE = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
KEPT = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
PER_CLIENT = 2
"""Requests, so twice as many connections."""


@pytest.fixture(params=["h11", "httptools"])
def http(request: pytest.FixtureRequest) -> str:
    if importlib.util.find_spec(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    return request.param


@pytest.fixture
def hurried(http: str) -> Iterator[int]:
    """The port of a server that gives headers a tenth of a second."""
    settings = ServerSettings(timeout_s=0.1)
    with serving(Tiny(settings).app, settings, http=http) as (port, _):
        yield port


@pytest.fixture
def crowded(http: str) -> Iterator[int]:
    """The port of a server of few connections, which gives headers ten seconds."""
    settings = ServerSettings(per_client=PER_CLIENT)
    with serving(Tiny(settings).app, settings, http=http) as (port, _):
        yield port


def connect(port: int, sent: bytes = b"") -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), 30)
    connection.sendall(sent)
    return connection


def until_end(connection: socket.socket) -> bytes:
    answer = b""
    try:
        while piece := connection.recv(65_536):
            answer += piece
    except ConnectionResetError:
        pass
    return answer


@pytest.mark.parametrize("sent", [b"", b"GET /v1/st", b"GET / HTTP/1.1\r\nHost: localhost\r\nX: "])
def test_who_does_not_finish_the_headers_is_told_so_and_ended(hurried: int, sent: bytes):
    with connect(hurried, sent) as connection:
        answer = until_end(connection)
    assert answer.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert b"\r\nconnection: close\r\n" in answer.lower()
    assert answer.endswith(b'{"error":"no complete request within 0.1 s"}')


def test_bytes_that_trickle_do_not_put_the_end_off(hurried: int):
    with connect(hurried, b"GET / HTTP/1.1\r\n") as connection:
        ended = threading.Event()

        def trickle() -> None:
            while not ended.wait(0.01):
                try:
                    connection.sendall(b"X: y\r\n")
                except OSError:
                    return

        thread = threading.Thread(target=trickle)
        thread.start()
        try:
            assert b"200 OK" not in until_end(connection)
        finally:
            ended.set()
            thread.join()


def test_the_second_request_of_a_connection_has_the_same_time_and_no_answer_to_mistake(hurried: int):
    with connect(hurried, KEPT) as connection:
        answer = b""
        while not answer.endswith(b"hello 127.0.0.1"):
            answer += connection.recv(1)
        connection.sendall(b"GET /v1/st")
        assert until_end(connection) == b""


def test_a_request_that_comes_in_pieces_within_the_time_is_answered(crowded: int):
    with connect(crowded) as connection:
        for byte in WHOLE:
            connection.sendall(bytes([byte]))
        assert b"hello" in until_end(connection)


def test_of_too_many_connections_the_one_that_waited_longest_ends(crowded: int):
    waiting = [connect(crowded, b"GET /") for _ in range(2 * PER_CLIENT)]
    assert b"hello" in exchange(crowded, WHOLE)
    assert b"200 OK" not in until_end(waiting[0])
    waiting[-1].sendall(WHOLE[len("GET /") :])
    assert b"hello" in until_end(waiting[-1])
    for connection in waiting:
        connection.close()


def test_a_proxy_may_hold_more_connections_than_one_client(http: str):
    settings = ServerSettings(per_client=PER_CLIENT, proxies=read_proxies(["127.0.0.1"]))
    with serving(Tiny(settings).app, settings, http=http) as (port, _):
        waiting = [connect(port, WHOLE[:5]) for _ in range(8 * PER_CLIENT)]
        for connection in waiting:
            connection.sendall(WHOLE[5:])
            assert b"hello" in until_end(connection)
            connection.close()


def test_a_connection_too_many_is_refused_while_all_others_are_answered(http: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("resource.getrlimit", lambda _: (4, 4))
    settings = ServerSettings()
    head = b"POST /size HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
    with serving(Tiny(settings).app, settings, http=http) as (port, _):
        busy = [connect(port, head) for _ in range(2)]
        for connection in busy:
            assert connection.recv(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        with connect(port) as third:
            assert until_end(third).endswith(b'{"error":"too many connections"}')
        for connection in busy:
            with connection:
                connection.sendall(b"hello")
                assert b"HTTP/1.1 200" in connection.recv(65_536)


@pytest.mark.parametrize(
    ("files", "per_client", "limits"),
    [
        (1_024, 64, (512, 128)),
        (100, 64, (50, 50)),
        (1 << 20, 64, (CONNECTIONS, 128)),
        (-1, 9_999, (CONNECTIONS,) * 2),
    ],
)
def test_connections_stay_below_the_files_that_may_be_open(
    monkeypatch: pytest.MonkeyPatch, files: int, per_client: int, limits: tuple[int, int]
):
    monkeypatch.setattr("resource.getrlimit", lambda _: (files, files))
    chosen = ConnectionLimits.of(ServerSettings(per_client=per_client))
    assert (chosen.in_all, chosen.per_client) == limits
