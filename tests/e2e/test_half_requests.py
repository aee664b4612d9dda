"""Clients that begin 1,500 requests and finish none, on loopback, against ``lykeion serve``."""

import contextlib
import resource
import socket
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from lykeion.search.index import open_index

from .serving import serving

HALF_REQUESTS = 1_500


@pytest.fixture(params=[256, 1_024])
def file_limit(request: pytest.FixtureRequest) -> Iterator[None]:
    """What macOS and Linux let a process open, for processes that start; then enough for our own connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= hard < 2 * HALF_REQUESTS:
        pytest.skip(f"this process may open only {hard} files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (request.param, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has more than one loopback address unasked")
@pytest.mark.parametrize("clients", [1, 15])
def test_half_sent_requests_keep_nobody_from_an_answer_and_do_not_fill_the_log(
    tmp_path: Path, file_limit: None, clients: int
):
    with open_index(tmp_path / "a.index", "w", dimension=4, embedder="") as index:
        index.upsert(["a"], [[1.0, 0.0, 0.0, 0.0]])
    with serving(tmp_path / "a.index") as (process, url), contextlib.ExitStack() as held:
        resource.setrlimit(resource.RLIMIT_NOFILE, (2 * HALF_REQUESTS, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        address = "127.0.0.1", urlsplit(url).port
        for number in range(HALF_REQUESTS):
            source = f"127.0.0.{2 + number % clients}", 0
            connection = held.enter_context(socket.create_connection(address, 30, source))
            with contextlib.suppress(ConnectionError):  # ended for a newer one already
                connection.sendall(b"GET /v1/st")
            if number % 250 == 249:
                with urllib.request.urlopen(f"{url}/healthz", timeout=30) as answer:
                    assert answer.status == 200
        process.terminate()
        assert process.stderr is not None
        assert len(process.stderr.read()) < 2_000
        assert process.wait() == 0
