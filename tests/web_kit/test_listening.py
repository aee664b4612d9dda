"""Servers on real sockets, asked byte for byte, with each parser of HTTP that uvicorn may use."""

import importlib.util
import socket
import time
from collections.abc import Iterator

import pytest

from lykeion.web_kit import ServerSettings
from lykeion.web_kit.listening import CannotListen, listen
from lykeion.web_kit.server_settings import SettingsError

from .tiny import TOKEN, Tiny, exchange, serving

PARSERS = ["h11", "httptools"]
HANDSHAKE = (
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "shop.example", "", "127.1", "::ffff:127.0.0.1"])
def test_other_machines_are_served_only_with_a_token(host: str):
    with pytest.raises(SettingsError, match="token"):
        listen(ServerSettings(), host, 0)


def test_any_address_is_served_without_a_token_only_where_the_settings_say_so():
    with listen(ServerSettings(open_address=True), "0.0.0.0", 0) as listener:
        assert listener.getsockname()[0] == "0.0.0.0"


def test_a_port_that_is_taken_is_an_error_that_names_it():
    with listen(ServerSettings(), "127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(CannotListen, match=str(port)):
            listen(ServerSettings(), "127.0.0.1", port)


def parser(name: str) -> str:
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed")
    return name


@pytest.fixture(scope="module", params=PARSERS)
def unguarded(request: pytest.FixtureRequest) -> Iterator[int]:
    """The port of a server without a token, for bodies of at most 10 bytes."""
    settings = ServerSettings(max_body_bytes=10)
    with serving(Tiny(settings).app, settings, http=parser(request.param)) as (port, _):
        yield port


@pytest.fixture(scope="module", params=PARSERS)
def guarded(request: pytest.FixtureRequest) -> Iterator[int]:
    """The port of a server with a token, whose path ``/open`` needs none."""
    settings = ServerSettings(token=TOKEN)
    app = Tiny(settings, open_paths=frozenset({"/open"})).app
    with serving(app, settings, http=parser(request.param)) as (port, _):
        yield port


def status(port: int, head: str, body: bytes = b"") -> int:
    """Of the answer to a request of these lines; the server closes the connection after it."""
    return int(exchange(port, f"{head}\r\nConnection: close\r\n\r\n".encode("latin-1") + body).split()[1])


def test_a_plain_request_is_answered(unguarded: int):
    assert status(unguarded, "GET / HTTP/1.1\r\nHost: localhost") == 200
    assert status(unguarded, "POST /size HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5", b"hello") == 200


@pytest.mark.parametrize(
    "head",
    [
        "GET / HTTP/1.1",
        "GET / HTTP/1.0",
        "GET / HTTP/1.1\r\nHost:",
        "GET / HTTP/1.1\r\nHost: evil.example",
        "GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example",
        "GET / HTTP/1.1\r\nHost: evil.example\r\nHost: localhost",
        "GET / HTTP/1.1\r\nHost: localhost@evil.example",
        "GET / HTTP/1.1\r\nHost: user@localhost",
        "GET / HTTP/1.1\r\nHost: localhost\r\n : evil.example",
        "GET http://localhost/ HTTP/1.1\r\nHost: evil.example",
        "GET / HTTP/1.1\r\nHost: evil.example\r\nX-Forwarded-Host: localhost\r\nForwarded: host=localhost",
        "GET / HTTP/1.1\r\nHost: localhost\r\nOrigin: null",
        "GET / HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\nOrigin: http://evil.example",
    ],
)
def test_no_spelling_of_the_host_or_origin_goes_round_the_check(unguarded: int, head: str):
    assert status(unguarded, head) in (400, 403)


@pytest.mark.parametrize(
    ("head", "body"),
    [
        ("Content-Length: 11", b"x" * 11),
        ("Content-Length: +5", b"hello"),
        ("Content-Length: 5\r\nContent-Length: 6", b"hello!"),
        ("Content-Length: 5, 6", b"hello!"),
        ("Content-Length: " + "9" * 5_000, b""),
        ("Content-Length: 5\r\nTransfer-Encoding: chunked", b"0\r\n\r\n"),
        ("Transfer-Encoding: chunked", b"6\r\nhello \r\n5\r\nworld\r\n0\r\n\r\n"),
        ("Transfer-Encoding: chunked", b"b\r\nhello world\r\n"),
    ],
)
def test_no_spelling_of_the_length_lets_a_body_be_too_large_or_end_in_two_places(
    unguarded: int, head: str, body: bytes
):
    assert status(unguarded, f"POST /size HTTP/1.1\r\nHost: localhost\r\n{head}", body) in (400, 413)


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "//open",
        "/open/..",
        "/./open",
        "/%6fpen/../",
        "/open;/",
        "http://localhost/",
        "http://localhost/open/../",
        "*",
    ],
)
def test_no_spelling_of_a_path_goes_round_the_token(guarded: int, target: str):
    assert status(guarded, f"GET {target} HTTP/1.1\r\nHost: localhost") in (400, 401, 404)


def test_an_open_path_needs_no_token(guarded: int):
    assert status(guarded, "GET /open HTTP/1.1\r\nHost: search.example") == 404


@pytest.mark.parametrize(
    "given", ["Bearer \xff\xfe", f"Bearer {TOKEN}\xff", f"Basic {TOKEN}", f"Bearer {TOKEN[:-1]}"]
)
def test_a_wrong_token_of_any_bytes_is_a_401(guarded: int, given: str):
    assert status(guarded, f"GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: {given}") == 401


def test_the_address_that_requests_are_counted_by_is_the_connections(unguarded: int):
    answer = exchange(
        unguarded, b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 10.1.2.3\r\nConnection: close\r\n\r\n"
    )
    assert b"hello 127.0.0.1" in answer


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ("Host: evil.example\r\n", 403),
        ("Host: localhost\r\nHost: evil.example\r\n", 403),
        ("Host: localhost\r\nOrigin: https://evil.example\r\n", 403),
        ("Host: localhost\r\nOrigin: null\r\n", 403),
    ],
)
def test_a_websocket_from_elsewhere_is_refused_before_it_opens(unguarded: int, headers: str, code: int):
    pytest.importorskip("wsproto")
    answer = exchange(unguarded, f"GET /echo HTTP/1.1\r\n{headers}{HANDSHAKE}\r\n".encode())
    assert int(answer.split()[1]) in (code, 400)
    assert b"101" not in answer.partition(b"\r\n")[0]


def test_a_websocket_without_the_token_is_a_401(guarded: int):
    pytest.importorskip("wsproto")
    answer = exchange(guarded, f"GET /echo HTTP/1.1\r\nHost: localhost\r\n{HANDSHAKE}\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 401")
    assert b'"error"' in answer


def opened(port: int) -> socket.socket:
    """A connection on which a WebSocket has been opened."""
    connection = socket.create_connection(("127.0.0.1", port), 30)
    connection.sendall(f"GET /echo HTTP/1.1\r\nHost: localhost\r\n{HANDSHAKE}\r\n".encode())
    assert connection.recv(65_536).startswith(b"HTTP/1.1 101")
    return connection


def frame(text: bytes) -> bytes:
    """A masked text frame, by a mask of zeros."""
    length = bytes([0x80 | len(text)]) if len(text) < 126 else bytes([0x80 | 127]) + len(text).to_bytes(8)
    return b"\x81" + length + bytes(4) + text


@pytest.mark.parametrize("http", PARSERS)
def test_a_websocket_outlives_the_timeout_and_is_bounded_in_its_messages(http: str):
    pytest.importorskip("wsproto")
    settings = ServerSettings(timeout_s=0.1, max_body_bytes=1_000)
    tiny = Tiny(settings)
    with serving(tiny.app, settings, http=parser(http)) as (port, _), opened(port) as connection:
        assert not tiny.ended.wait(3 * settings.timeout_s)
        connection.sendall(frame(b"hello"))
        assert connection.recv(65_536) == b"\x81\x05hello"
        connection.sendall(frame(b"x" * 1_001))
        assert tiny.ended.wait(30)


@pytest.mark.parametrize("http", PARSERS)
def test_who_stops_reading_an_endless_answer_holds_neither_a_place_nor_a_connection(http: str):
    settings = ServerSettings(timeout_s=0.1, per_client=1)
    tiny = Tiny(settings)
    with (
        serving(tiny.app, settings, http=parser(http)) as (port, server),
        socket.create_connection(("127.0.0.1", port), 30) as reader,
    ):
        reader.sendall(b"GET /wall/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert tiny.ended.wait(30)
        assert any(status(port, "GET / HTTP/1.1\r\nHost: localhost") == 200 for _ in range(1_000))
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            assert any(not server.server_state.connections or time.sleep(0.01) for _ in range(3_000))
