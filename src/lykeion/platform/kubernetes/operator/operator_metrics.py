"""What the operator counts, for Prometheus."""

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from lykeion.platform.kubernetes.api import WatchAges

STEP_BUCKETS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30)


class OperatorMetrics:
    """``ages`` are of the watches; ``waiting`` and ``leads`` are asked when the metrics are read."""

    def __init__(self, ages: WatchAges, waiting: Callable[[], int], leads: Callable[[], bool]) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_State(ages, waiting, leads))
        self._steps = Histogram(
            "lykeion_reconcile_seconds",
            "Time of one step of a controller, lookups and writes included.",
            ("kind", "outcome"),
            registry=self._registry,
            buckets=STEP_BUCKETS,
        )
        self._requests = Counter(
            "lykeion_api_requests",
            "Requests to the API server.",
            ("verb", "resource", "code"),
            registry=self._registry,
        )

    def stepped(self, kind: str, outcome: str, seconds: float) -> None:
        self._steps.labels(kind, outcome).observe(seconds)

    def requested(self, method: str, path: str, code: int) -> None:
        self._requests.labels(method, resource_of_path(path), str(code)).inc()

    def text(self) -> bytes:
        """The exposition format."""
        return generate_latest(self._registry)


def resource_of_path(path: str) -> str:
    """The plural in a path of the API, with its subresource: ``trainings/status``; ``other`` for the rest."""
    parts = path.strip("/").split("/")
    parts = parts[2:] if parts[0] == "api" else parts[3:] if parts[0] == "apis" else []
    if parts[:1] == ["namespaces"] and len(parts) > 2:
        parts = parts[2:]
    return "/".join(parts[:1] + parts[2:3]) or "other"


class _State(Collector):
    def __init__(self, ages: WatchAges, waiting: Callable[[], int], leads: Callable[[], bool]) -> None:
        self._ages, self._waiting, self._leads = ages, waiting, leads

    def collect(self) -> Iterable[GaugeMetricFamily]:
        age = GaugeMetricFamily(
            "lykeion_watch_age_seconds", "Since a watch last heard from the API server.", labels=("watch",)
        )
        for watch, seconds in self._ages.ages_s().items():
            age.add_metric((watch,), seconds)
        yield age
        yield GaugeMetricFamily("lykeion_queue_keys", "Resources that wait for a controller.", self._waiting())
        yield GaugeMetricFamily("lykeion_leads", "Whether this process has the Lease.", float(self._leads()))
