"""What the proxy counts, in Prometheus' text format: https://prometheus.io/docs/instrumenting/exposition_formats/"""

from collections.abc import Mapping
from time import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest

from .route_table import RoutedService, RouteTable

LABELS = ("namespace", "route", "group")
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
"""Seconds."""


class GroupMeter:
    """What is counted of one group in one route."""

    def __init__(self, metrics: "ProxyMetrics", *labels: str) -> None:
        self.requests = metrics.requests.labels(*labels)
        self.failures = metrics.failures.labels(*labels)
        self.in_flight = metrics.in_flight.labels(*labels)
        self.seconds = metrics.seconds.labels(*labels)

    def begin(self) -> None:
        self.requests.inc()
        self.in_flight.inc()

    def end(self, failed: bool, seconds: float | None) -> None:
        self.in_flight.dec()
        if failed:
            self.failures.inc()
        if seconds is not None:
            self.seconds.observe(seconds)


class ProxyMetrics:
    def __init__(self) -> None:
        disable_created_metrics()
        registry = self._registry = CollectorRegistry()
        prefix = "lykeion_proxy"
        self.requests = Counter(f"{prefix}_requests", "Requests sent to replicas.", LABELS, registry=registry)
        self.failures = Counter(
            f"{prefix}_failures", "Those with a status of 500 or above, or no response.", LABELS, registry=registry
        )
        self.in_flight = Gauge(f"{prefix}_requests_in_flight", "Those under way.", LABELS, registry=registry)
        self.seconds = Histogram(
            f"{prefix}_request_seconds", "From a request's head to its response's end.", LABELS,
            registry=registry, buckets=BUCKETS,
        )  # fmt: skip
        self.replicas = Gauge(f"{prefix}_replica_requests_in_flight", "By replica.", ("replica",), registry=registry)
        self.version = Gauge(f"{prefix}_route_table_version", "Of the route table in use.", registry=registry)
        Gauge(f"{prefix}_start_time_seconds", "Since 1970.", registry=registry).set(time())
        self._meters: dict[tuple[str, str, str], GroupMeter] = {}

    def meter(self, service: RoutedService, group: str) -> GroupMeter:
        key = (service.namespace, service.route, group)
        if key not in self._meters:
            self._meters[key] = GroupMeter(self, *key)
        return self._meters[key]

    def follow(self, table: RouteTable) -> None:
        """Show the table's version, and forget routes that are in it no more."""
        self.version.set(table.version)
        known = {(each.namespace, each.route) for each in table.services}
        for key in [key for key in self._meters if key[:2] not in known]:
            del self._meters[key]
            for metric in (self.requests, self.failures, self.in_flight, self.seconds):
                metric.remove(*key)

    def text(self, in_flight: Mapping[str, int]) -> bytes:
        self.replicas.clear()
        for replica, count in in_flight.items():
            self.replicas.labels(replica).set(count)
        return generate_latest(self._registry)
