"""The local index with every kernel in turn: against a plain dictionary, and recall on clustered vectors."""

import itertools
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from lykeion.search.index import Index, LocalIndex
from lykeion.search.index.protocol import Metric
from tests.search.index.model import DIMENSION, index_machine

from .indexes import clustered, exact, open_local

pytestmark = pytest.mark.slow
KERNELS = ["exact", "hnsw", "ivf"]


@pytest.mark.parametrize("metric", ["cosine", "l2"])
@pytest.mark.parametrize("kernel", KERNELS)
def test_every_kernel_does_what_a_dictionary_does(tmp_path: Path, kernel: str, metric: Metric) -> None:
    """Segments are sealed every 40 rows, so that all layers are there; merges run when they are due."""
    numbers = itertools.count()

    def make() -> Index:
        path = tmp_path / str(next(numbers))
        return open_local(path, dimension=DIMENSION, metric=metric, kernel=kernel, seal_rows=40, background=False)

    def reopen(index: Index) -> Index:
        assert isinstance(index, LocalIndex)
        index.close()
        return open_local(index.path, seal_rows=40, background=False)

    machine = index_machine(make, reopen, metric=metric, recall=0.99)
    moderate = settings(
        max_examples=12,
        stateful_step_count=25,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
        print_blob=True,
    )
    run_state_machine_as_test(machine, settings=moderate)


ROWS, WIDTH = 6000, 96
VECTORS, LABELS = clustered(ROWS, WIDTH)
QUERIES = VECTORS[::100] + np.random.default_rng(1).normal(size=(60, WIDTH)).astype(np.float32) * 0.2
OF_QUERIES = LABELS[::100]


@pytest.fixture(scope="module", params=itertools.product(KERNELS, ["cosine", "l2"]), ids="-".join)
def shop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> LocalIndex:
    kernel, metric = request.param
    path = tmp_path_factory.mktemp("shop") / "index"
    with open_local(path, dimension=WIDTH, metric=metric, kernel=kernel, background=False) as index:
        index.upsert(
            [str(n) for n in range(ROWS)],
            VECTORS,
            [{"label": int(label), "n": n, "thousandth": n * 7919 % 1000} for n, label in enumerate(LABELS)],
        )
        index.compact(full=True)
        assert index.stats().details["segments"][0]["kernel"] == kernel  # pyright: ignore
    return open_local(path, "r")


def _recall(index: LocalIndex, where: str | None, among: np.ndarray, *, query: int, k: int = 10) -> float:
    (hits,) = index.search(QUERIES[query : query + 1], k, where=where)
    wanted = exact(VECTORS, QUERIES[query], k, metric=index.metric, among=among)
    assert len(hits) == len(wanted), "never fewer than k"
    assert all(among[int(hit.id)] for hit in hits)
    return len({int(hit.id) for hit in hits} & set(wanted)) / len(wanted)


EVERY = np.ones(ROWS, bool)
THOUSANDTHS = np.arange(ROWS) * 7919 % 1000


@pytest.mark.parametrize("k", [1, 10, 100])
def test_recall_without_a_filter(shop: LocalIndex, k: int) -> None:
    assert np.mean([_recall(shop, None, EVERY, query=query, k=k) for query in range(60)]) >= 0.99


@pytest.mark.parametrize("below", [500, 100, 10, 1])
def test_recall_with_a_filter_at_random(shop: LocalIndex, below: int) -> None:
    recall = [_recall(shop, f"thousandth < {below}", below > THOUSANDTHS, query=query) for query in range(60)]
    assert np.mean(recall) >= 0.99


@pytest.mark.parametrize("labels", [1, 5])
def test_recall_where_filter_and_query_disagree(shop: LocalIndex, labels: int) -> None:
    """Only products of other kinds than the one that is asked with may be answers."""
    recall = []
    for query, own in enumerate(OF_QUERIES):
        others = [int(own + step) % 10 for step in range(1, labels + 1)]
        where = f"label in ({', '.join(map(str, others))})"
        recall.append(_recall(shop, where, np.isin(LABELS, others), query=query))
    assert np.mean(recall) >= 0.99


@pytest.mark.parametrize("where", [None, "label = 3", "n < 25"])
def test_all_that_match_are_found_when_asked_for(shop: LocalIndex, where: str | None) -> None:
    among = {None: EVERY, "label = 3": LABELS == 3, "n < 25": np.arange(ROWS) < 25}[where]
    (hits,) = shop.search(QUERIES[:1], 10**6, where=where)
    assert sorted(int(hit.id) for hit in hits) == np.flatnonzero(among).tolist()


@pytest.mark.parametrize("shop", [("hnsw", "cosine"), ("ivf", "cosine")], ids="-".join, indirect=True)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_recall_holds_while_many_are_deleted(tmp_path: Path, shop: LocalIndex, share: float) -> None:
    """Deleted in overlays, before any compaction; under the graph, all around the query."""
    with open_local(shutil.copytree(shop.path, tmp_path / "index"), background=False) as index:
        near = exact(VECTORS, QUERIES[0], int(share * ROWS))
        index.delete([str(n) for n in near])
        among = EVERY.copy()
        among[near] = False
        assert np.mean([_recall(index, None, among, query=query) for query in range(60)]) >= 0.99


@pytest.mark.parametrize("kernel", KERNELS)
def test_products_with_several_photos_answer_once_with_the_best(tmp_path: Path, kernel: str) -> None:
    with open_local(tmp_path / "index", dimension=WIDTH, kernel=kernel, background=False) as index:
        index.upsert([str(n // 6) for n in range(ROWS)], VECTORS)
        index.compact(full=True)
        recall = []
        for query in QUERIES[:30]:
            (hits,) = index.search(query[None], 10)
            ranked = [row // 6 for row in exact(VECTORS, query, 200)]
            wanted = list(dict.fromkeys(ranked))[:10]
            assert len({hit.id for hit in hits}) == 10
            recall.append(len({int(hit.id) for hit in hits} & set(wanted)) / 10)
        assert np.mean(recall) >= 0.99
