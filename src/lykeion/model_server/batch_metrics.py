"""Prometheus metrics of batches and of the model."""

from collections.abc import Callable

from prometheus_client import Counter, Gauge, Histogram, Info
from prometheus_client.registry import Collector

_ROWS = (1, 2, 4, 8, 16, 32)
_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)


class BatchMetrics:
    """``waiting`` tells how many requests wait for an engine."""

    def __init__(self, waiting: Callable[[], int]) -> None:
        self._batches = Histogram("lykeion_batch_rows", "Rows run at once.", registry=None, buckets=_ROWS)
        self._runs = Histogram("lykeion_engine_seconds", "Time of an engine's run.", registry=None, buckets=_SECONDS)
        queue = Gauge("lykeion_requests_waiting", "Requests that wait for an engine.", registry=None)
        queue.set_function(waiting)
        self.collectors: tuple[Collector, ...] = (self._batches, self._runs, queue)

    def observe(self, rows: int, seconds: float) -> None:
        self._batches.observe(rows)
        self._runs.observe(seconds)


def model_info(name: str, version: str, engine: str) -> Info:
    info = Info("lykeion_model", "The model that is served.", registry=None)
    info.info({"name": name, "version": version, "engine": engine})
    return info


def photo_counter() -> Counter:
    return Counter("lykeion_photos_prepared", "Photos decoded and prepared for the model.", registry=None)
