"""Prometheus metrics of the service, one registry an app."""

import time
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .catalogue import Catalogue

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """Requests as they pass, photos as they are embedded, and the index as it is when asked."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._registry = CollectorRegistry()
        self.requests = Histogram(
            "lykeion_request_seconds",
            "Time from a request's first byte to the end of its answer.",
            ("route", "method", "status"),
            registry=self._registry,
            buckets=BUCKETS,
        )
        self.in_flight = Gauge("lykeion_requests_in_flight", "Requests under way.", registry=self._registry)
        self.photos = Counter("lykeion_photos_embedded", "Photos turned into vectors.", registry=self._registry)
        self._registry.register(_IndexCollector(catalogue))

    def text(self) -> bytes:
        """The exposition format; asks the index for its figures."""
        return generate_latest(self._registry)


class Meter:
    """ASGI middleware that times every request by its route."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status = 500
        started = time.perf_counter()

        async def send_metered(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            with self.metrics.in_flight.track_inprogress():
                await self.app(scope, receive, send_metered)
        finally:
            # A path that is no route's would make as many series as a stranger likes; so would an unknown method.
            route = getattr(scope.get("route"), "path", "other")
            method = scope["method"] if route != "other" else "other"
            self.metrics.requests.labels(route, method, str(status)).observe(time.perf_counter() - started)


class _IndexCollector(Collector):
    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def describe(self) -> Iterator[GaugeMetricFamily]:
        return iter(())  # without this, registering asks the index

    def collect(self) -> Iterator[GaugeMetricFamily]:
        stats = self._catalogue.index.stats()
        yield GaugeMetricFamily("lykeion_index_products", "Products in the index.", value=stats.products)
        yield GaugeMetricFamily("lykeion_index_photos", "Photos in the index.", value=stats.photos)
        details = GaugeMetricFamily("lykeion_index_detail", "The index's own figures.", labels=("name",))
        for name, value in stats.details.items():
            if isinstance(value, int | float):
                details.add_metric((name,), value)
        yield details
