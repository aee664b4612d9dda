"""The metrics of a catalogue."""

from collections.abc import Iterator

from prometheus_client import Counter
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from .catalogue import Catalogue


def photo_counter() -> Counter:
    return Counter("lykeion_photos_embedded", "Photos turned into vectors.", registry=None)


class IndexCollector(Collector):
    """The index's statistics at the time of each scrape."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def describe(self) -> Iterator[GaugeMetricFamily]:
        return iter(())  # without this, registering queries the index

    def collect(self) -> Iterator[GaugeMetricFamily]:
        stats = self._catalogue.index.stats()
        yield GaugeMetricFamily("lykeion_index_products", "Products in the index.", value=stats.products)
        yield GaugeMetricFamily("lykeion_index_photos", "Photos in the index.", value=stats.photos)
        details = GaugeMetricFamily("lykeion_index_detail", "The index's own figures.", labels=("name",))
        for name, value in stats.details.items():
            if isinstance(value, int | float):
                details.add_metric((name,), value)
        yield details
