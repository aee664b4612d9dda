"""Prometheus metrics of a server, one registry per app."""

import time

from prometheus_client import CollectorRegistry, Gauge, Histogram, generate_latest
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_STATUS_OF = {"websocket.accept": 101}


class Metrics:
    """Counts and times of requests, and the server's own collectors."""

    def __init__(self, *collectors: Collector) -> None:
        self._registry = CollectorRegistry()
        self.requests = Histogram(
            "lykeion_request_seconds",
            "Time from a request's first byte to the end of its response.",
            ("route", "method", "status"),
            registry=self._registry,
            buckets=BUCKETS,
        )
        self.in_flight = Gauge("lykeion_requests_in_flight", "Requests in progress.", registry=self._registry)
        for collector in collectors:
            self._registry.register(collector)

    def text(self) -> bytes:
        """The exposition format; collects from the collectors."""
        return generate_latest(self._registry)


class Meter:
    """ASGI middleware that times every request, and every WebSocket from its opening to its end, by its route."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        status = 500
        started = time.perf_counter()

        async def send_metered(message: Message) -> None:
            nonlocal status
            status = message.get("status", _STATUS_OF.get(message["type"], status))
            await send(message)

        try:
            with self.metrics.in_flight.track_inprogress():
                await self.app(scope, receive, send_metered)
        finally:
            # Unknown paths or methods would let a client create any number of time series.
            route = getattr(scope.get("route"), "path", "other")
            method = scope.get("method", "GET") if route != "other" else "other"
            self.metrics.requests.labels(route, method, str(status)).observe(time.perf_counter() - started)
