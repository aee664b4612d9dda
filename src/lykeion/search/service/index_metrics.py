"""The metrics of a catalogue."""

from collections.abc import Iterator

from prometheus_client import Counter
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from .served_catalogue import ServedCatalogue


def photo_counter() -> Counter:
    return Counter("lykeion_photos_embedded", "Photos turned into vectors.", registry=None)


class IndexCollector(Collector):
    """The index's statistics at the time of each scrape."""

    def __init__(self, served: ServedCatalogue) -> None:
        self._served = served

    def describe(self) -> Iterator[Metric]:
        return iter(())  # without this, registering queries the index

    def collect(self) -> Iterator[Metric]:
        yield InfoMetricFamily("lykeion_index", "The index that is served.", value={"index": self._served.id})
        yield CounterMetricFamily(
            "lykeion_index_swaps", "Indexes that have taken over from another.", value=self._served.swaps
        )
        yield GaugeMetricFamily(
            "lykeion_index_refused",
            "1 if the index that --index names now cannot be served.",
            value=bool(self._served.problem),
        )
        stats = self._served.call(lambda catalogue: catalogue.index.stats())
        yield GaugeMetricFamily("lykeion_index_products", "Products in the index.", value=stats.products)
        yield GaugeMetricFamily("lykeion_index_photos", "Photos in the index.", value=stats.photos)
        details = GaugeMetricFamily("lykeion_index_detail", "The index's own figures.", labels=("name",))
        for name, value in stats.details.items():
            if isinstance(value, int | float):
                details.add_metric((name,), value)
        yield details
