"""Each backend against a plain dictionary with exact search."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from lykeion.search.index.protocol import Index, Metric

from .backends import BACKENDS, Place
from .model import DIMENSION, index_machine

MODERATE = settings(
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # shrinking a long run takes minutes
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    print_blob=True,
)


@pytest.mark.slow
@pytest.mark.parametrize("metric", ["cosine", "l2"])
@pytest.mark.parametrize("backend", sorted(BACKENDS))
def test_an_index_does_what_a_dictionary_with_exact_search_does(
    directory: Path, backend: str, metric: Metric
) -> None:
    places: dict[int, Place] = {}

    def make() -> Index:
        place = BACKENDS[backend](directory)
        index = place.open(dimension=DIMENSION, metric=metric)
        places[id(index)] = place
        return index

    def reopen(index: Index) -> Index:
        place = places.pop(id(index))
        index.close()
        index = place.open(dimension=None)
        places[id(index)] = place
        return index

    snapshots = BACKENDS[backend](directory).keeps_snapshots
    machine = index_machine(make, reopen, metric=metric, snapshots=snapshots)
    examples = 6 if backend == "milvus" else 20  # whose steps take ten times as long
    run_state_machine_as_test(machine, settings=settings(MODERATE, max_examples=examples))
