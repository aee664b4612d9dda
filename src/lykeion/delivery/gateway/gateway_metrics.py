"""Prometheus metrics of a gateway."""

from collections.abc import Callable, Sequence

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.registry import Collector

ACKNOWLEDGED = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class GatewayMetrics:
    def __init__(self, connected: Callable[[], int], waiting: Callable[[], int]) -> None:
        self.connections = Gauge("lykeion_gateway_connections", "Devices that are connected.", registry=None)
        self.connections.set_function(connected)
        self.queue = Gauge("lykeion_gateway_store_queue", "Changes that wait to be stored.", registry=None)
        self.queue.set_function(waiting)
        self.messages = Counter("lykeion_gateway_messages", "Messages of devices, by name.", ("name",), registry=None)
        self.refused = Counter(
            "lykeion_gateway_refused_messages", "Messages that were acknowledged but cannot be used.", registry=None
        )
        self.resets = Counter("lykeion_gateway_resets", "Resets told to devices, by what.", ("what",), registry=None)
        self.closed = Counter(
            "lykeion_gateway_closed", "Connections that the gateway closed.", ("why",), registry=None
        )
        self.not_admitted = Counter("lykeion_gateway_not_admitted", "Connections beyond the rate.", registry=None)
        self.acknowledged = Histogram(
            "lykeion_gateway_acknowledged_seconds",
            "From the first message of those of a device that are stored together to their acknowledgement.",
            buckets=ACKNOWLEDGED,
            registry=None,
        )

    def collectors(self) -> Sequence[Collector]:
        return (
            self.connections,
            self.queue,
            self.messages,
            self.refused,
            self.resets,
            self.closed,
            self.not_admitted,
            self.acknowledged,
        )
