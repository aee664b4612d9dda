"""The proxy, as a process between real sockets: what it passes on, what it refuses, and what it survives."""

import socket
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lykeion.core import Invalid
from lykeion.platform.local.processes.free_port import free_port
from lykeion.platform.local.proxy.proxy_settings import ProxySettingsError, TlsListener
from lykeion.platform.local.supervision.proxy_control import proxy_settings
from tests.platform.proxies import (
    OK,
    ProxyProcess,
    ScriptedReplica,
    answering,
    group,
    proxy_process,
    rest,
    service,
    until,
    wait_until,
    write_certificate,
)
from tests.platform.test_proxy_parts import Parsed

SHOP = "/services/default/shop"
Replicas = Callable[..., ScriptedReplica]


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProxyProcess]:
    with proxy_process(tmp_path_factory.mktemp("proxy")) as made:
        yield made


@pytest.fixture
def replica() -> Iterator[Replicas]:
    made: list[ScriptedReplica] = []

    def make(serve: object = None) -> ScriptedReplica:
        made.append(ScriptedReplica(serve or answering()))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for each in made:
        each.close()


def _head(path: str = f"{SHOP}/", method: str = "GET", *lines: str, host: str = "127.0.0.1") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", f"Host: {host}", *lines, "", ""]).encode()


def _close(path: str = f"{SHOP}/", method: str = "GET", *lines: str, host: str = "127.0.0.1") -> bytes:
    return _head(path, method, *lines, "Connection: close", host=host)


# What is passed on


def test_a_request_gets_to_its_service_by_path_without_the_prefix(proxy: ProxyProcess, replica: Replicas) -> None:
    shop = replica()
    proxy.shop(shop)
    assert proxy.get(f"{SHOP}/a/b?c=d%2F").endswith(b"\r\n\r\nok")
    head = shop.heads[0].decode().lower().split("\r\n")
    assert head[0] == "get /a/b?c=d%2f http/1.1"
    assert {f"x-forwarded-prefix: {SHOP}", "x-forwarded-proto: http", "x-forwarded-for: 127.0.0.1"} <= set(head)
    proxy.get(SHOP)
    assert shop.heads[1].startswith(b"GET / HTTP/1.1\r\n")


def test_a_request_gets_to_its_service_by_host_with_its_path(proxy: ProxyProcess, replica: Replicas) -> None:
    shop = replica()
    proxy.shop(shop)
    assert proxy.send(_close("/services/default/other/x", host="shop.default:80")).endswith(b"ok")
    assert shop.heads[0].startswith(b"GET /services/default/other/x HTTP/1.1\r\nHost: shop.default:80\r\n")


def test_there_is_no_service_that_no_route_names(proxy: ProxyProcess, replica: Replicas) -> None:
    proxy.shop(replica())
    for path in ("/", "/services/default/shopping/", "/services/other/shop/", "/services/default"):
        assert proxy.get(path).startswith(b"HTTP/1.1 404 Not Found\r\n"), path


def test_a_body_of_known_length_and_one_in_chunks_arrive_whole(proxy: ProxyProcess, replica: Replicas) -> None:
    def echo(connection: socket.socket, head: bytes) -> None:
        end = b"0\r\n\r\n" if b"chunked" in head else b"last"
        body = head.partition(b"\r\n\r\n")[2]
        body += b"" if body.endswith(end) else until(connection, end)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    proxy.shop(replica(echo))
    response = proxy.send(_close(f"{SHOP}/", "POST", "Content-Length: 9"), b"first", b"last")
    assert response.endswith(b"\r\n\r\nfirstlast")
    response = proxy.send(
        _close(f"{SHOP}/", "POST", "Transfer-Encoding: chunked"), b"5;a=b\r\nfirst\r\n4\r\nlast\r\n0\r\nX: y\r\n\r\n"
    )
    assert b"x: y" not in response.lower()
    assert b"".join(response.partition(b"\r\n\r\n")[2].split(b"\r\n")[1::2]).startswith(b"firstlast")


def test_responses_come_as_the_client_can_read_them(proxy: ProxyProcess, replica: Replicas) -> None:
    def serve(connection: socket.socket, head: bytes) -> None:
        if b"/close" in head:
            connection.sendall(b"HTTP/1.0 200 OK\r\n\r\nuntil the end")
        elif b"/chunks" in head:
            connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n0\r\nX: y\r\n\r\n")
        else:
            connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    proxy.shop(replica(serve))
    assert proxy.get(f"{SHOP}/close").endswith(
        b"transfer-encoding: chunked\r\nconnection: close\r\n\r\nd\r\nuntil the end\r\n0\r\n\r\n"
    )
    assert proxy.get(f"{SHOP}/chunks").endswith(b"\r\n\r\n3\r\none\r\n0\r\n\r\n")
    assert proxy.get(f"{SHOP}/none").endswith(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")
    old = proxy.send(f"GET {SHOP}/chunks HTTP/1.0\r\n\r\n".encode())
    assert b"chunked" not in old
    assert old.endswith(b"\r\n\r\none")


def test_a_response_to_head_has_a_length_and_no_body(proxy: ProxyProcess, replica: Replicas) -> None:
    proxy.shop(replica(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")))
    with proxy.connect() as connection:
        for _ in range(2):  # the connection stays usable
            connection.sendall(_head(method="HEAD"))
            assert until(connection, b"\r\n\r\n").endswith(b"\r\ncontent-length: 1000\r\n\r\n")


def test_a_response_without_a_body_leaves_the_connection_open(proxy: ProxyProcess, replica: Replicas) -> None:
    proxy.shop(replica(answering(b"HTTP/1.1 204 No Content\r\n\r\n")))
    with proxy.connect() as connection:
        for _ in range(2):
            connection.sendall(_head())
            assert until(connection, b"\r\n\r\n") == b"HTTP/1.1 204 No Content\r\n\r\n"


def test_requests_follow_one_another_on_one_connection(proxy: ProxyProcess, replica: Replicas) -> None:
    shop = replica()
    proxy.shop(shop)
    with proxy.connect() as connection:
        for number in range(3):
            connection.sendall(_head(f"{SHOP}/{number}"))
            assert until(connection, b"ok").startswith(b"HTTP/1.1 200 OK\r\n")
    assert [head.split()[1] for head in shop.heads] == [b"/0", b"/1", b"/2"]


def test_a_continue_comes_before_the_body_is_sent(proxy: ProxyProcess, replica: Replicas) -> None:
    def serve(connection: socket.socket, head: bytes) -> None:
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert until(connection, b"body") == b"body"
        connection.sendall(OK)

    proxy.shop(replica(serve))
    with proxy.connect() as connection:
        connection.sendall(_close(f"{SHOP}/", "POST", "Content-Length: 4", "Expect: 100-continue"))
        assert until(connection, b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"body")
        assert rest(connection).startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_stream_arrives_as_it_is_sent_in_both_directions(proxy: ProxyProcess, replica: Replicas) -> None:
    def serve(connection: socket.socket, head: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        for _ in range(3):
            connection.sendall(until(connection, b"\r\n"))

    proxy.shop(replica(serve))
    with proxy.connect() as connection:
        connection.sendall(_head(f"{SHOP}/", "POST", "Transfer-Encoding: chunked"))
        until(connection, b"\r\n\r\n")
        for part in (b"5\r\nfirst\r\n", b"6\r\nsecond\r\n"):
            connection.sendall(part)
            assert part.split(b"\r\n")[0] in until(connection, b"\r\n")


@pytest.mark.parametrize("downwards", [True, False])
def test_a_reader_that_does_not_read_stops_the_writer_at_a_bounded_amount(
    proxy: ProxyProcess, replica: Replicas, downwards: bool
) -> None:
    sent, go = Counter[str](), threading.Event()

    def write_much(connection: socket.socket) -> None:
        connection.settimeout(0.5)
        try:
            for _ in range(1024):
                sent["bytes"] += connection.send(bytes(1 << 16))
        except TimeoutError:
            sent["stopped"] = 1

    def serve(connection: socket.socket, head: bytes) -> None:
        if downwards:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (1 << 26))
            write_much(connection)
        go.wait(30)

    shop = replica(serve)
    proxy.shop(shop)
    with proxy.connect() as connection:
        length = 0 if downwards else 1 << 26
        connection.sendall(_head(f"{SHOP}/", "POST", f"Content-Length: {length}"))
        if not downwards:
            write_much(connection)
        wait_until(lambda: sent["stopped"])
        go.set()
    assert sent["bytes"] < 1 << 25  # buffers of the system included


# Which replica


def test_requests_are_split_by_weight_among_groups_with_ready_replicas(
    proxy: ProxyProcess, replica: Replicas
) -> None:
    stable, canary, gone = replica(), replica(), replica()
    proxy.route(
        service("shop", group("stable", stable, weight=3), group("canary", canary), group("empty", weight=9),
                group("off", gone, weight=0))
    )  # fmt: skip
    for _ in range(400):
        proxy.get()
    assert len(stable.heads) + len(canary.heads) == 400
    assert 60 <= len(canary.heads) <= 140  # 100, and 4.6 standard deviations
    assert gone.heads == []


def test_without_a_ready_replica_the_answer_says_so(proxy: ProxyProcess) -> None:
    proxy.shop()
    assert proxy.get().startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert proxy.get().endswith(b"no replica of shop.default is ready\n")


def test_what_was_not_sent_goes_to_another_replica(proxy: ProxyProcess, replica: Replicas) -> None:
    dead, shop = replica(), replica()
    dead.close()
    proxy.shop(dead, shop)
    for _ in range(10):
        assert proxy.send(_close(f"{SHOP}/", "POST", "Content-Length: 4"), b"body").startswith(b"HTTP/1.1 200")
    assert len(shop.heads) == 10
    proxy.shop(dead)
    assert proxy.get().startswith(b"HTTP/1.1 502 ")
    assert proxy.get().endswith(b"no replica of shop.default can be reached\n")


def test_only_what_may_be_repeated_is_sent_again_after_a_replica_has_it(
    proxy: ProxyProcess, replica: Replicas
) -> None:
    hangs_up, shop = replica(lambda connection, head: None), replica()
    proxy.shop(hangs_up, shop)
    for _ in range(10):
        assert proxy.get().startswith(b"HTTP/1.1 200 ")
    before = len(shop.heads)
    proxy.shop(hangs_up)
    response = proxy.send(_close(f"{SHOP}/", "POST", "Content-Length: 4"), b"body")
    assert response.startswith(b"HTTP/1.1 502 ")
    assert response.endswith(b"the replica closed the connection without a response\n")
    assert len(shop.heads) == before
    assert sum(head.startswith(b"POST") for head in hangs_up.heads) == 1


def test_half_a_response_does_not_look_whole(proxy: ProxyProcess, replica: Replicas) -> None:
    proxy.shop(replica(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")))
    response = proxy.get()
    assert b"content-length: 100" in response
    assert not response.endswith(b"0\r\n\r\n")
    proxy.shop(replica(answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")))
    response = proxy.get()
    assert response.endswith(b"4\r\nhalf\r\n")


def test_a_new_table_serves_requests_that_follow_and_lets_those_before_end(
    proxy: ProxyProcess, replica: Replicas
) -> None:
    go = threading.Event()

    def slow(connection: socket.socket, head: bytes) -> None:
        go.wait(30)
        connection.sendall(OK)

    old, new = replica(slow), replica()
    proxy.shop(old)
    with proxy.connect() as connection:
        connection.sendall(_close())
        wait_until(lambda: old.heads)
        proxy.shop(new)
        assert proxy.get().endswith(b"ok")
        assert proxy.metric("replica_requests_in_flight") == 1
        go.set()
        assert rest(connection).endswith(b"ok")
    assert len(new.heads) == 1


def test_a_table_that_is_none_leaves_the_last_one_in_use(proxy: ProxyProcess, replica: Replicas) -> None:
    proxy.shop(replica())
    (proxy.directory / "routes.json").write_text("{")
    assert proxy.get().endswith(b"ok")
    proxy.shop(replica())


# What is refused: request smuggling (RFC 9112, 11.2)

SMUGGLED = _close(f"{SHOP}/smuggled")


@pytest.mark.parametrize(
    "lines",
    [
        ("Content-Length: 5", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: chunked", "Content-Length: 5"),
        ("Content-Length: 0", "Content-Length: 90"),
        ("Content-Length: 0", "Content-Length: 0"),
        ("Content-Length: +0",),
        ("Content-Length: 0, 0",),
        ("Content-Length: 0x0",),
        ("Content-Length: ",),
        ("Transfer-Encoding: xchunked",),
        ("Transfer-Encoding: gzip, chunked",),
        ("Transfer-Encoding: chunked, identity",),
        ("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding : chunked",),
        ("Transfer-Encoding:\x0bchunked",),
        (" Transfer-Encoding: chunked",),
        ("X: y\r\n Transfer-Encoding: chunked",),
        ("X: y\nTransfer-Encoding: chunked",),
        ("X: y\rTransfer-Encoding: chunked",),
        ("X: y\0",),
        ("Upgrade: h2c", "Connection: upgrade", "Content-Length: 5"),
    ],
)  # fmt: skip
def test_request_smuggling_by_framing_that_can_be_read_in_two_ways_is_refused(
    proxy: ProxyProcess, replica: Replicas, lines: tuple[str, ...]
) -> None:
    shop = replica()
    proxy.shop(shop)
    response = proxy.send(_head(f"{SHOP}/", "POST", *lines) + b"0\r\n\r\n" + SMUGGLED)
    assert response.startswith(b"HTTP/1.1 400 Bad Request\r\n"), response
    assert response.count(b"HTTP/1.1 ") == 1
    assert not any(b"smuggled" in head for head in shop.heads)


@pytest.mark.parametrize(
    "body",
    [b"0x1\r\na\r\n0\r\n\r\n", b"1\na\n0\n\n", b"1\r\nab\r\n0\r\n\r\n", b"-1\r\na\r\n0\r\n\r\n",
     b"10000000000000001\r\na\r\n", b"1;a\nb\r\na\r\n0\r\n\r\n", b"1 \r\na\r\n0\r\n\r\n"],
)  # fmt: skip
def test_request_smuggling_by_malformed_chunks_is_refused(
    proxy: ProxyProcess, replica: Replicas, body: bytes
) -> None:
    shop = replica(lambda connection, head: rest(connection) and None)
    proxy.shop(shop)
    response = proxy.send(_head(f"{SHOP}/", "POST", "Transfer-Encoding: chunked") + body + SMUGGLED)
    assert response.startswith(b"HTTP/1.1 400 Bad Request\r\n"), response
    assert response.count(b"HTTP/1.1 ") == 1
    assert not any(b"smuggled" in head for head in shop.heads)


def test_request_smuggling_by_a_request_behind_another_gets_no_response(
    proxy: ProxyProcess, replica: Replicas
) -> None:
    shop = replica()
    proxy.shop(shop)
    assert proxy.send(_head(f"{SHOP}/first") + SMUGGLED).count(b"HTTP/1.1 ") == 1
    assert [head.split()[1] for head in shop.heads] == [b"/first"]


@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nX: " + bytes(100_000).replace(b"\0", b"x") + b"\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\n" + b"".join(b"X%d: %b\r\n" % (n, b"x" * 1000) for n in range(100)) + b"\r\nok",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
        b"not HTTP",
        b"HTTP/9.9 200 OK\r\n\r\n",
    ],
)
def test_response_splitting_by_what_a_replica_sends_is_an_error_of_the_replica(
    proxy: ProxyProcess, replica: Replicas, response: bytes
) -> None:
    proxy.shop(replica(answering(response)))
    answer = proxy.get()
    assert answer.startswith(b"HTTP/1.1 502 Bad Gateway\r\n"), answer
    assert b"malformed" in answer


def test_what_a_replica_sends_beyond_its_response_reaches_nobody(proxy: ProxyProcess, replica: Replicas) -> None:
    poison = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
    proxy.shop(replica(answering(OK + poison)))
    with proxy.connect() as connection:
        for _ in range(2):
            connection.sendall(_head())
            assert until(connection, b"ok").endswith(b"\r\n\r\nok")


# What is refused: hosts, targets and headers


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /services/default/shop/ HTTP/1.1\r\n\r\n", 400),
        (b"GET /services/default/shop/ HTTP/1.1\r\nHost: a\r\nHost: 127.0.0.1\r\n\r\n", 400),
        (b"GET /services/default/shop/ HTTP/1.1\r\nHost: 127.0.0.1 evil\r\n\r\n", 400),
        (b"GET http://shop.default/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 400),
        (b"CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 405),
        (b"TRACE /services/default/shop/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 405),
        (b"OPTIONS * HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 400),
        (b"GET /services/default/shop/ HTTP/2.0\r\nHost: 127.0.0.1\r\n\r\n", 505),
        (b"GET /services/default/shop/\r\n\r\n", 505),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"GET /services/default/shop/ HTTP/1.1\r\nHost: 127.0.0.1\r\nExpect: a miracle\r\n\r\n", 417),
        (b"GET /services/default/shop/ HTTP/1.1\r\nHost: evil.example\r\n\r\n", 403),
        (b"GET / HTTP/1.1\r\nHost: shop.default\r\nOrigin: https://evil.example\r\n\r\n", 403),
        (b"GET /services/default/shop/" + b"x" * 9000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n" + b"X: y\r\n" * 101 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"y" * 400_000, 431),
        (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n" + b"X" * 400_000, 431),
    ],
)  # fmt: skip
def test_what_is_no_request_for_a_service_is_refused_in_one_line(
    proxy: ProxyProcess, replica: Replicas, request_: bytes, status: int
) -> None:
    shop = replica()
    proxy.shop(shop)
    response = proxy.send(request_)
    assert response.startswith(b"HTTP/1.1 %d " % status), response
    assert response.count(b"\n", response.index(b"\r\n\r\n") + 4) == 1
    assert shop.heads == []


@pytest.mark.parametrize(
    "path",
    ["/../", "/a/..", "/a/../../other/x", "/%2e%2e/x", "/.%2E/x", "/./x", "/..%2fx", "/a%2f..%2fx", "/..;/x",
     "/..\\x", "/a%5cx", "/a%00b"],
)  # fmt: skip
def test_a_path_that_leads_elsewhere_is_refused(proxy: ProxyProcess, replica: Replicas, path: str) -> None:
    shop = replica()
    proxy.shop(shop)
    assert proxy.get(f"{SHOP}{path}").startswith(b"HTTP/1.1 400 ")
    assert shop.heads == []


def test_a_trailer_or_extension_without_end_is_refused(proxy: ProxyProcess, replica: Replicas) -> None:
    proxy.shop(replica(lambda connection, head: rest(connection) and None))
    for endless in (b"0\r\nX: " + b"y" * 400_000, b"1;" + b"y" * 400_000):
        response = proxy.send(_head(f"{SHOP}/", "POST", "Transfer-Encoding: chunked") + endless)
        assert response.startswith(b"HTTP/1.1 431 ")


def test_hop_by_hop_headers_end_here_in_both_directions(proxy: ProxyProcess, replica: Replicas) -> None:
    hop = ["Keep-Alive: timeout=5", "Proxy-Connection: close", "Proxy-Authorization: Basic x", "TE: trailers",
           "Trailer: X", "X-Named: hop", "Upgrade: h2c", "HTTP2-Settings: x"]  # fmt: skip
    named = "Connection: keep-alive, X-Named, Upgrade"
    response = "\r\n".join(["HTTP/1.1 200 OK", named, *hop, "X-Kept: yes", "Content-Length: 2", "", "ok"]).encode()
    shop = replica(answering(response))
    proxy.shop(shop)
    with proxy.connect() as connection:
        connection.sendall(_head(f"{SHOP}/", "GET", named, *hop, "X-Kept: yes"))
        answer = until(connection, b"ok").lower()
    for text in (shop.heads[0].lower(), answer):
        lines = text.split(b"\r\n")
        assert b"x-kept: yes" in lines
        for header in hop:
            assert header.lower().encode() not in lines


def test_forwarded_headers_of_a_client_are_replaced(proxy: ProxyProcess, replica: Replicas) -> None:
    shop = replica()
    proxy.shop(shop)
    forged = ["X-Forwarded-For: 6.6.6.6", "X_Forwarded_For: 6.6.6.6", "Forwarded: for=6.6.6.6", "X-Real-IP: 6.6.6.6",
              "X-Forwarded-Host: evil", "X-Forwarded-Prefix: /evil", "Connection: X-Forwarded-For"]  # fmt: skip
    proxy.get(f"{SHOP}/", *forged)
    text = shop.heads[0].lower()
    assert b"6.6.6.6" not in text
    assert b"evil" not in text
    assert text.count(b"x-forwarded-for: 127.0.0.1") == 1


# Upgrades


def test_an_upgrade_to_websocket_passes_bytes_both_ways(proxy: ProxyProcess, replica: Replicas) -> None:
    def serve(connection: socket.socket, head: bytes) -> None:
        connection.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nhello"
        )
        while data := connection.recv(65536):
            connection.sendall(data.upper())

    shop = replica(serve)
    proxy.shop(shop)
    with proxy.connect() as connection:
        connection.sendall(
            _head(
                f"{SHOP}/ws", "GET", "Upgrade: websocket", "Connection: keep-alive, Upgrade", "Sec-WebSocket-Key: k"
            )
            + b"early"
        )
        assert until(connection, b"EARLY").endswith(b"\r\n\r\nhelloEARLY")
        connection.sendall(b"later")
        assert until(connection, b"LATER") == b"LATER"
        assert proxy.metric("requests_in_flight") == 1
    head = shop.heads[0].lower()
    assert b"upgrade: websocket\r\nconnection: upgrade\r\n" in head
    assert b"sec-websocket-key: k" in head
    wait_until(lambda: proxy.metric("requests_in_flight") == 0)


def test_an_upgrade_that_the_replica_declines_is_an_ordinary_response(proxy: ProxyProcess, replica: Replicas) -> None:
    shop = replica(answering(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"))
    proxy.shop(shop)
    request = _head(f"{SHOP}/ws", "GET", "Upgrade: websocket", "Connection: Upgrade")
    response = proxy.send(request + SMUGGLED)
    assert response.startswith(b"HTTP/1.1 403 ")
    assert response.count(b"HTTP/1.1 ") == 1
    assert len(shop.heads) == 1


def test_an_upgrade_to_anything_else_is_not_asked_of_the_replica(proxy: ProxyProcess, replica: Replicas) -> None:
    shop = replica()
    proxy.shop(shop)
    assert proxy.get(f"{SHOP}/", "Upgrade: h2c").endswith(b"ok")
    with proxy.connect() as connection:
        connection.sendall(_head(f"{SHOP}/", "GET", "Upgrade: h2c", "Connection: Upgrade"))
        assert until(connection, b"ok").startswith(b"HTTP/1.1 200 OK\r\n")
    assert not any(b"h2c" in head for head in shop.heads)


# Faults and ends


def test_clients_that_leave_or_reset_are_no_failures_of_the_replica(proxy: ProxyProcess, replica: Replicas) -> None:
    shop = replica(lambda connection, head: rest(connection) and None)
    proxy.route(service("gone", group("stable", shop)))
    with proxy.connect() as connection:
        connection.sendall(_head("/services/default/gone/"))
        wait_until(lambda: shop.heads)
    wait_until(lambda: proxy.metric("requests_in_flight") == 0)
    assert proxy.metric("failures_total") == 0
    wait_until(lambda: [each["status"] for each in proxy.requests() if each["service"] == "gone"] == [499])


def test_what_is_counted_and_logged(proxy: ProxyProcess, replica: Replicas) -> None:
    fails = replica(answering(b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n"))
    proxy.route(service("counted", group("stable", replica()), group("canary", fails)))
    for _ in range(40):
        proxy.get("/services/default/counted/secret?token=x")
    text = proxy.metrics()
    labels = 'namespace="default",route="counted-route"'
    assert proxy.metric("requests_total") == 40
    assert f'lykeion_proxy_failures_total{{group="canary",{labels}}} {len(fails.heads)}.0' in text
    assert f'lykeion_proxy_failures_total{{group="stable",{labels}}} 0.0' in text
    wait_until(lambda: sum(each["service"] == "counted" for each in proxy.requests()) == 40)
    lines = [each for each in proxy.requests() if each["service"] == "counted"]
    assert Counter(each["status"] for each in lines) == {200: 40 - len(fails.heads), 500: len(fails.heads)}
    assert lines[0]["path"] == "/services/default/counted/secret"
    assert "token" not in str(lines[0])


def test_the_proxy_ends_after_requests_in_flight(tmp_path: Path, replica: Replicas) -> None:
    go = threading.Event()

    def slow(connection: socket.socket, head: bytes) -> None:
        go.wait(30)
        connection.sendall(OK)

    shop = replica(slow)
    with proxy_process(tmp_path) as proxy:
        proxy.shop(shop)
        with proxy.connect() as connection, proxy.connect() as idle:
            connection.sendall(_head())
            wait_until(lambda: shop.heads)
            proxy.process.terminate()
            assert rest(idle) == b""
            go.set()
            assert rest(connection).endswith(b"ok")
        assert proxy.process.wait(30) == 0


# Other machines: TLS and a token


TOKEN = "a-token-of-sixteen-characters"


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ProxyProcess, TlsListener]]:
    directory = tmp_path_factory.mktemp("tls")
    certificate, key, token = directory / "certificate.pem", directory / "key.pem", directory / "token"
    write_certificate(certificate, key)
    token.write_text(TOKEN)
    listener = TlsListener("127.0.0.1", free_port(()), str(certificate), str(key), str(token))
    with proxy_process(directory, listener) as proxy:
        yield proxy, listener


def _ask_elsewhere(listener: TlsListener, *lines: str) -> bytes:
    context = ssl.create_default_context(cafile=listener.certificate)
    plain = socket.create_connection((listener.host, listener.port), timeout=30)
    with context.wrap_socket(plain, server_hostname="localhost") as connection:
        connection.sendall(_close(f"{SHOP}/", "GET", *lines, host="shop.example"))
        return rest(connection)


def test_other_machines_need_the_token_which_no_replica_sees(
    elsewhere: tuple[ProxyProcess, TlsListener], replica: Replicas
) -> None:
    proxy, listener = elsewhere
    shop = replica()
    proxy.shop(shop)
    for lines in ((), ("Authorization: Bearer wrong",), (f"Authorization: Basic {TOKEN}",)):
        assert _ask_elsewhere(listener, *lines).startswith(b"HTTP/1.1 401 ")
    assert shop.heads == []
    assert _ask_elsewhere(listener, f"Authorization: Bearer {TOKEN}").endswith(b"ok")
    assert TOKEN.encode() not in shop.heads[0]
    assert b"x-forwarded-proto: https" in shop.heads[0]


def test_without_tls_other_machines_get_nothing(elsewhere: tuple[ProxyProcess, TlsListener]) -> None:
    _, listener = elsewhere
    with socket.create_connection((listener.host, listener.port), timeout=30) as connection:
        connection.sendall(_close(f"{SHOP}/", "GET", f"Authorization: Bearer {TOKEN}"))
        assert b"HTTP" not in rest(connection)


def test_a_certificate_or_token_that_cannot_be_used_is_said_in_one_line(tmp_path: Path) -> None:
    for name, text in (("certificate", "none"), ("key", "none"), ("token", "short")):
        (tmp_path / name).write_text(text)
    wrong = TlsListener("127.0.0.1", 1, *(str(tmp_path / name) for name in ("certificate", "key", "token")))
    with pytest.raises(ProxySettingsError, match=r"certificate and .*key are no certificate in PEM with its key \("):
        proxy_settings(tmp_path, 1, wrong)
    write_certificate(tmp_path / "certificate", tmp_path / "key")
    with pytest.raises(Invalid, match="at least 16 ASCII characters"):
        proxy_settings(tmp_path, 1, wrong)


# Hostile input of any kind

PIECES = [
    b"GET ", b"POST ", f"{SHOP}/x".encode(), b" HTTP/1.1\r\n", b" HTTP/1.0\r\n", b"Host: 127.0.0.1\r\n", b"\r\n",
    b"Content-Length: 5\r\n", b"Content-Length: 0\r\n", b"Transfer-Encoding: chunked\r\n", b"5\r\nhello\r\n",
    b"hello", b"0\r\n\r\n", b"Connection: close\r\n", b"Connection: upgrade\r\n", b"Upgrade: websocket\r\n",
    b"Upgrade: h2c\r\n", b"Expect: 100-continue\r\n", b"X: y\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b":", b"\xff",
    b"A" * 70_000,
]  # fmt: skip
START = f"POST {SHOP}/x HTTP/1.1\r\nHost: 127.0.0.1\r\n".encode()
WHOLE = START + b"Content-Length: 5\r\n\r\nhello"
PLACES = st.integers(0, len(WHOLE))


@pytest.fixture
def shop(proxy: ProxyProcess, replica: Replicas) -> ScriptedReplica:
    made = replica()
    proxy.shop(made)
    return made


@given(
    st.lists(st.sampled_from(PIECES), max_size=12).map(b"".join)
    | st.lists(st.sampled_from(PIECES), max_size=8).map(lambda pieces: START + b"".join(pieces))
    | st.builds(lambda at, byte: WHOLE[:at] + byte + WHOLE[at + 1 :], PLACES, st.binary(max_size=2))
    | st.binary(max_size=200)
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_a_client_sends_a_replica_gets_whole_requests_and_the_client_whole_responses(
    proxy: ProxyProcess, shop: ScriptedReplica, data: bytes
) -> None:
    shop.heads.clear()
    answer = b""
    with proxy.connect() as connection, suppress(OSError):
        connection.sendall(data)
        connection.settimeout(0.05)  # for the rest of what is no whole request
        while part := connection.recv(65536):
            answer += part
    assert answer == b"" or answer.startswith(b"HTTP/1.1 ")
    for head in shop.heads:
        read = Parsed(head)
        names = [name for name, _ in read.headers]
        assert read.url.startswith(b"/")
        assert names.count(b"host") == 1
        assert names.count(b"content-length") + names.count(b"transfer-encoding") <= 1
    assert proxy.process.poll() is None
