"""What the proxy decides, without its sockets: heads, routes, replicas, counts and the log."""

import json
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from httptools import HttpRequestParser
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from prometheus_client.parser import text_string_to_metric_families

from lykeion.platform.local.processes.attempt import Attempt
from lykeion.platform.local.proxy.forwarder import Forwarder
from lykeion.platform.local.proxy.http_heads import HOP_BY_HOP, OURS, BadRequest, read_head, upstream_head
from lykeion.platform.local.proxy.listeners import Listener
from lykeion.platform.local.proxy.proxy_metrics import ProxyMetrics
from lykeion.platform.local.proxy.replica_choice import ReplicaChoice
from lykeion.platform.local.proxy.request_log import KEPT, RequestLog
from lykeion.platform.local.proxy.route_table import (
    RoutedGroup,
    RoutedService,
    RouteTable,
    RouteTableError,
    ServingReplica,
)
from lykeion.platform.local.supervision.proxy_control import route_counts
from lykeion.platform.local.supervision.route_runner import routed_services, service_variable
from lykeion.platform.lookups import RouteCounts
from lykeion.platform.resources.plain_kinds.route import ROUTE, RouteSpec, WeightedGroup

from .batches import replica_group
from .test_group_plan import NOON


class Parsed:
    """What a server reads of some bytes."""

    def __init__(self, data: bytes) -> None:
        self.url, self.headers, self.ends = b"", list[tuple[bytes, bytes]](), 0
        self.parser = HttpRequestParser(self)
        self.parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_message_complete(self) -> None:
        self.ends += 1


names = st.sampled_from(
    [b"x-a", b"x_b", b"accept", b"cookie", b"connection", b"te", b"upgrade", b"keep-alive", b"x-forwarded-for",
     b"x_forwarded_for", b"forwarded", b"authorization", b"trailer", b"expect"]
)  # fmt: skip
values = st.sampled_from([b"", b"x", b"x-a, close", b"100-continue", b"Authorization", b"websocket", b"\xff\t'"])


@given(st.lists(st.tuples(names, values), max_size=12), st.sampled_from(["GET", "POST", "DELETE", "M-SEARCH"]))
def test_what_is_sent_to_a_replica_is_one_request_without_what_ends_here(
    headers: list[tuple[bytes, bytes]], method: str
) -> None:
    headers = [*headers, (b"host", b"shop.default:80")]
    try:
        head = read_head(method, b"/services/a/b/c?d", "1.1", headers, False)
    except BadRequest:  # for what it expects
        assert any(name == b"expect" for name, _ in headers)
        return
    parsed = Parsed(upstream_head(head, "/c", "/services/a/b", "1.2.3.4", "http", True))
    assert (parsed.url, parsed.ends) == (b"/c?d", 1)
    found = dict(parsed.headers)
    assert found[b"connection"] == b"close"
    assert found[b"x-forwarded-for"] == b"1.2.3.4"
    named = {name.strip().lower() for each, value in headers if each == b"connection" for name in value.split(b",")}
    passed = [name for name, _ in parsed.headers if name not in OURS | {b"connection"}]
    assert HOP_BY_HOP.isdisjoint(passed)
    assert {b"authorization", b"x_forwarded_for"}.isdisjoint(passed)
    assert named.isdisjoint(passed)
    kept = [each for each in headers if each[0] in (b"cookie", b"accept", b"x_b") and each[0] not in named]
    assert [each for each in parsed.headers if each[0] in (b"cookie", b"accept", b"x_b")] == kept


@given(st.text(alphabet="./%2eE5cC\\;abF", max_size=12))
def test_a_path_that_is_passed_on_leads_nowhere_else(text: str) -> None:
    path = f"/services/a/b/{text}"
    try:
        read_head("GET", path.encode(), "1.1", [(b"host", b"a")], False)
    except BadRequest:
        return
    segments = unquote(path, "latin-1").replace("\\", "/").split("/")
    assert not {".", ".."} & {each.partition(";")[0] for each in segments}


def _table() -> RouteTable:
    return RouteTable(3, (RoutedService("a", "r", "shop", (RoutedGroup("g", 1, (ServingReplica("u/0-0", 80),)),)),))


@pytest.mark.parametrize(
    ("host", "path", "found"),
    [
        ("127.0.0.1", "/services/a/shop/x", ("/services/a/shop", "/x")),
        ("127.0.0.1", "/services/a/shop", ("/services/a/shop", "/")),
        ("SHOP.A", "/services/a/shop/x", ("", "/services/a/shop/x")),
        ("127.0.0.1", "/services/a/shopping", None),
        ("127.0.0.1", "/services/b/shop/", None),
        ("127.0.0.1", "//services/a/shop/", None),
        ("shop", "/", None),
        ("shop.a.example", "/", None),
    ],
)
def test_a_service_is_named_by_host_or_by_path(host: str, path: str, found: tuple[str, str] | None) -> None:
    service, prefix, rest = _table().find(host, path)
    assert ((prefix, rest) if service else None) == found


def test_a_request_for_a_service_that_is_not_known_looks_for_a_newer_table(tmp_path: Path) -> None:
    forwarder, head = (
        Forwarder(tmp_path),
        read_head("GET", b"/services/a/shop/", "1.1", [(b"host", b"127.0.0.1")], False),
    )
    listener = Listener("127.0.0.1", 0)
    with pytest.raises(BadRequest, match="no such service"):
        forwarder.admit(head, listener)
    _table().write(tmp_path / "routes.json")
    assert forwarder.admit(head, listener) == (_table().services[0], "/services/a/shop", "/")


def test_a_table_is_read_as_it_was_written_and_anything_else_is_an_error(tmp_path: Path) -> None:
    assert RouteTable.read(tmp_path / "absent") == RouteTable()
    _table().write(tmp_path / "routes.json")
    assert RouteTable.read(tmp_path / "routes.json") == _table()
    (tmp_path / "routes.json").write_text('{"version": "x"}')
    with pytest.raises(RouteTableError, match=r"routes.json: Expected `int`"):
        RouteTable.read(tmp_path / "routes.json")


def _choice(*groups: tuple[str, int, int]) -> tuple[ReplicaChoice, RoutedService]:
    """Groups by name, weight and number of replicas."""
    made = [RoutedGroup(n, w, tuple(ServingReplica(f"{n}/{i}", i) for i in range(count))) for n, w, count in groups]
    return ReplicaChoice(random.Random(7)), RoutedService("a", "r", "shop", tuple(made))


def test_groups_get_requests_by_weight_and_replicas_where_the_fewest_are_in_flight() -> None:
    choice, service = _choice(("stable", 90, 2), ("canary", 10, 1), ("off", 0, 1), ("empty", 900, 0))
    counts: Counter[str] = Counter()
    for _ in range(4000):
        target = choice.choose(service)
        assert target
        counts[target.group] += 1
    assert set(counts) == {"stable", "canary"}
    assert abs(counts["canary"] - 400) < 4 * (4000 * 0.1 * 0.9) ** 0.5
    first = choice.choose(service)
    assert first
    choice.enter(first)
    others = {each.replica for _ in range(50) if (each := choice.choose(service)) and each.group == first.group}
    assert first.replica not in others
    choice.leave(first)
    assert choice.in_flight == {}


def test_another_try_stays_in_the_group_while_it_has_replicas() -> None:
    choice, service = _choice(("stable", 1, 2), ("canary", 1, 1))
    tried = [target] if (target := choice.choose(service)) else []
    while target := choice.choose(service, tried):
        tried.append(target)
    assert len({each.replica for each in tried}) == len(tried) == 3
    groups = [each.group for each in tried]
    assert groups in (["stable", "stable", "canary"], ["canary", "stable", "stable"])


def test_what_was_counted_of_a_route_is_read_from_the_metrics() -> None:
    metrics, service = ProxyMetrics(), RoutedService("a", "r", "shop")
    for seconds, failed in ((0.003, False), (0.3, True), (99, False)):
        metrics.meter(service, "g").begin()
        metrics.meter(service, "g").end(failed, seconds)
    metrics.meter(service, "g").begin()
    metrics.meter(RoutedService("b", "r", "shop"), "g").begin()
    families = {each.name: each for each in text_string_to_metric_families(metrics.text({"u/0-0": 1}).decode())}
    (counts,) = route_counts(families, RouteCounts("a", "r")).values()
    assert (counts.requests, counts.failures, counts.in_flight) == (4, 1, 1)
    assert (counts.buckets[0.0025], counts.buckets[0.005], counts.buckets[0.5], counts.buckets[float("inf")]) == (
        0,
        1,
        2,
        3,
    )
    assert route_counts(families, RouteCounts("a", "other")) == {}
    assert float(counts.since) > 0


def test_the_log_is_rotated_and_bounded(tmp_path: Path) -> None:
    log = RequestLog(tmp_path / "requests.log", limit_bytes=100)
    for number in range(50):
        log.add(number=number, text="x" * 100)
        log.flush()
    files = sorted(tmp_path.iterdir())
    assert [each.name for each in files] == [f"requests.log.{number}" for number in range(1, KEPT + 1)]
    assert json.loads(files[0].read_text())["number"] == 49
    assert files[0].stat().st_mode & 0o777 == 0o600


def _made(resource: Any, uid: str, *, hour: int = 12) -> Any:
    metadata = structs.replace(resource.metadata, uid=uid, creation_timestamp=NOON.replace(hour=hour))
    return replace(resource, metadata=metadata)


def _route(name: str, group: str, *, hour: int) -> Any:
    spec = RouteSpec(service="shop", groups=(WeightedGroup(group=group, weight=1),))
    return _made(ROUTE.new(name, spec), name, hour=hour)


def test_of_two_routes_for_one_service_the_older_gets_its_requests() -> None:
    late, early = _route("late", "group", hour=13), _route("early", "gone", hour=9)
    groups, serving = [_made(replica_group(), "u")], {"u": (Attempt(0, 3, NOON, port=81),)}
    assert routed_services([late, early], groups, serving) == [
        RoutedService("default", "early", "shop", (RoutedGroup("gone", 1),))
    ]
    assert routed_services([late], groups, serving) == [
        RoutedService("default", "late", "shop", (RoutedGroup("group", 1, (ServingReplica("u/0-3", 81),)),))
    ]


def test_a_variable_is_named_like_its_service() -> None:
    assert service_variable("photo-search") == "PHOTO_SEARCH_URL"
