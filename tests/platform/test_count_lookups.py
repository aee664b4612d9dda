"""Counts from a Prometheus server and from the metrics of replicas, over real sockets."""

import asyncio
import json
import math
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from lykeion.platform.answering.count_lookups import NoCounts, ReplicaCounter, prometheus_counts
from lykeion.platform.lookups import GroupCounts, PrometheusCounts, ReplicaCounts

PAGE = """# TYPE http_requests_total counter
http_requests_total{code="200"} 90
http_requests_total{code="503"} 7
http_requests_total{code="500"} 3
# TYPE http_seconds histogram
http_seconds_bucket{le="0.5"} 80
http_seconds_bucket{le="+Inf"} 100
http_seconds_count 100
http_seconds_sum 30
"""
ASKED = ReplicaCounts(
    "default", "shop-1", "/metrics", ("http_requests_total", ()), ("http_requests_total", (("code", "5.."),)),
    "http_seconds",
)  # fmt: skip


class Server(ThreadingHTTPServer):
    """Answers with what ``answer`` makes of a path: a status and a body."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer: Callable[[str], tuple[int, str]] = lambda path: (200, PAGE)

    @property
    def port(self) -> int:
        return int(self.server_address[1])


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        status, body = self.server.answer(self.path)
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


def _of_replicas(*replicas: tuple[str, int]) -> GroupCounts:
    async def addresses(namespace: str, group: str) -> list[tuple[str, str]]:
        return [(text, f"127.0.0.1:{port}") for text, port in replicas]

    return asyncio.run(ReplicaCounter(addresses).counts(ASKED))


def test_what_replicas_count_is_added_up_and_a_restart_is_seen(server: Server) -> None:
    one = _of_replicas(("0-0", server.port))
    assert (one.requests, one.failures, one.buckets) == (100, 10, {0.5: 80, math.inf: 100})
    two = _of_replicas(("0-0", server.port), ("1-0", server.port))
    assert (two.requests, two.failures, two.buckets) == (200, 20, {0.5: 160, math.inf: 200})
    assert len({one.since, two.since, _of_replicas(("0-1", server.port)).since}) == 3
    assert _of_replicas(("0-0", server.port)).since == one.since


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((503, ""), "status 503"),
        ((200, "http_requests_total{"), "cannot be read"),
        ((200, "x" * (9 << 20)), "more than"),
    ],
    ids=["status", "format", "size"],
)
def test_metrics_that_cannot_be_read_are_no_counts(server: Server, answer: tuple[int, str], message: str) -> None:
    server.answer = lambda path: answer
    with pytest.raises(NoCounts, match=message):
        _of_replicas(("0-0", server.port))


def test_a_replica_that_does_not_answer_is_no_count_of_the_others(server: Server) -> None:
    with pytest.raises(NoCounts, match=r"127\.0\.0\.1:1/metrics"):
        _of_replicas(("0-0", server.port), ("1-0", 1))


def _prometheus(values: dict[str, Any]) -> Callable[[str], tuple[int, str]]:
    def answer(path: str) -> tuple[int, str]:
        asked = urlsplit(path)
        assert asked.path == "/api/v1/query"
        (query,) = parse_qs(asked.query)["query"]
        series = [{"metric": {}, "value": [0, value]} for value in values[query]]
        return 200, json.dumps({"status": "success", "data": {"resultType": "vector", "result": series}})

    return answer


def test_queries_of_prometheus_give_counts_and_no_series_is_none(server: Server) -> None:
    server.answer = _prometheus({"all": ["60", "40"], "failed": [], "slow": ["5"]})
    url = f"http://127.0.0.1:{server.port}/"
    counts = asyncio.run(prometheus_counts(PrometheusCounts(url, "all", "failed", "slow", 0.5)))
    assert (counts.requests, counts.failures, counts.buckets) == (100, 0, {0.5: 95, math.inf: 100})


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((400, '{"status": "error", "error": "parse error at char 3"}'), "parse error at char 3"),
        ((200, "<html>"), "not JSON|not an answer|JSON"),
        (
            (200, '{"status": "success", "data": {"resultType": "vector", "result": [{}]}}'),
            "not an answer of Prometheus",
        ),
        ((200, '{"status": "success", "data": {"resultType": "matrix", "result": []}}'), "no vector"),
        (
            (200, '{"status": "success", "data": {"resultType": "vector", "result": [{"value": [0, "NaN"]}]}}'),
            "not a number",
        ),
    ],
    ids=["query", "page", "series", "matrix", "nan"],
)
def test_an_answer_that_is_no_count_says_why(server: Server, answer: tuple[int, str], message: str) -> None:
    server.answer = lambda path: answer
    with pytest.raises(NoCounts, match=message):
        asyncio.run(prometheus_counts(PrometheusCounts(f"http://127.0.0.1:{server.port}", "all", "failed")))
