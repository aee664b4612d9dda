"""``lykeion serve`` behind the platform's proxy, whose requests all come from one address."""

import contextlib
import json
import socket
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from lykeion.platform.local.proxy.route_table import RoutedGroup, ServingReplica
from tests.platform.proxies import ProxyProcess, proxy_process, service

from .index_flips import make_index
from .platform_machine import until
from .serving import serving

pytestmark = pytest.mark.slow
UNFINISHED = 80
"""More than the 64 requests that one address may have in progress."""
HEAD = b"POST /services/default/shop/v1/search/vector HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{"


def begin_requests(stack: contextlib.ExitStack, proxy: ProxyProcess) -> list[socket.socket]:
    connections = [stack.enter_context(proxy.connect()) for _ in range(UNFINISHED)]
    for connection in connections:
        connection.sendall(HEAD)
    return connections


def in_progress(url: str) -> int:
    for line in urllib.request.urlopen(f"{url}/metrics").read().decode().splitlines():
        if line.startswith("lykeion_requests_in_flight "):
            return int(float(line.split()[1]))
    raise AssertionError


@pytest.mark.parametrize("known", [True, False], ids=["a known proxy", "any other"])
def test_only_a_proxy_that_is_configured_may_pass_on_more_requests_than_one_address(
    tmp_path: Path, known: bool
) -> None:
    (tmp_path / "proxy").mkdir()
    index = make_index(tmp_path / "a.index")
    with (
        serving(index, *(("--proxy", "127.0.0.1") if known else ())) as (_, url),
        proxy_process(tmp_path / "proxy") as proxy,
        contextlib.ExitStack() as stack,
    ):
        proxy.route(service("shop", RoutedGroup("shop", 1, (ServingReplica("shop/1", urlsplit(url).port or 0),))))
        connections = begin_requests(stack, proxy)
        if not known:
            until(lambda: proxy.get("/services/default/shop/v1/stats").startswith(b"HTTP/1.1 429 "))
            return
        until(lambda: in_progress(url) == UNFINISHED + 1)
        answer = proxy.get("/services/default/shop/v1/stats")
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["index"] == "a.index"
        for connection in connections:
            connection.sendall(b"}       ")
            assert connection.recv(12) == b"HTTP/1.1 422"
