"""The behaviour suite of the index on a Milvus server, and what a server alone can show.

The package ``milvus`` brings the server; it is started here and ended.
"""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.measuring.milvus_server import milvus_server
from lykeion.core import NotFound
from lykeion.search import copy
from lykeion.search.index import Index, Photo, open_index
from lykeion.search.index.milvus import client as client_module
from lykeion.search.index.milvus.client import MilvusError
from tests.search.index.conftest import _no_waiting_for_milvus  # noqa: F401 - a fixture
from tests.search.index.test_behaviour import *  # noqa: F403
from tests.search.index.test_behaviour import fill

from .milvus_collections import AHEAD, Collections, ServerPlace

pytest.importorskip("milvus", reason="the package milvus brings the server")

X = np.eye(4, dtype=np.float32)[:1]

WRITE = """
import sys
import numpy as np
from lykeion.search.index import open_index
with open_index(sys.argv[1], "w") as index:
    index.upsert(sys.argv[2:], np.eye(4, dtype=np.float32)[: len(sys.argv) - 2])
"""


def write_elsewhere(uri: str, *products: str) -> None:
    """In a process of its own."""
    subprocess.run([sys.executable, "-c", WRITE, uri, *products], check=True)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collections]:
    directory = tmp_path_factory.mktemp("milvus") / "server"
    with milvus_server(directory) as address, ThreadPoolExecutor(AHEAD) as pool:
        yield Collections(address, pool)
        pool.shutdown(cancel_futures=True)


@pytest.fixture
def place(server: Collections) -> Iterator[ServerPlace]:
    place = ServerPlace(server)
    yield place
    if place.uri:
        server.drop(place.uri)


@pytest.fixture
def index(place: ServerPlace) -> Iterator[Index]:
    opened = place.open()
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def kept_shop(server: Collections) -> Iterator[Index]:
    index = fill(ServerPlace(server).open())
    yield index
    index.close()


# What is seen, and when


def test_a_process_sees_its_own_writes_at_once_through_every_handle(place: ServerPlace) -> None:
    writer, reader = place.open(), place.open("r", dimension=None)
    assert reader.count() == 0
    for n in range(1, 6):
        writer.upsert([f"p{n}"], X, [{"n": n}])
        assert reader.count() == n
        assert [product.attributes for product in reader.get([f"p{n}"]) if product] == [{"n": n}]
        assert len(reader.search(X)[0]) == n
        writer.update([f"p{n}"], [{"n": -n}])
        assert [product.attributes for product in reader.get([f"p{n}"]) if product] == [{"n": -n}]
    writer.delete(["p1"])
    assert reader.get(["p1"]) == [None]
    assert reader.count() == 4
    reader.close()
    writer.close()


def test_what_one_process_wrote_is_seen_by_whoever_opens_the_index_then(place: ServerPlace) -> None:
    place.open().close()
    for n in range(1, 3):
        write_elsewhere(place.uri, f"p{n}")
        with open_index(place.uri) as index:
            assert index.count() == n


def test_with_strong_consistency_every_read_sees_what_other_processes_wrote(place: ServerPlace) -> None:
    place.open().close()
    with open_index(f"{place.uri}?consistency=strong") as index:
        assert index.count() == 0
        write_elsewhere(place.uri, "a", "b")
        assert index.get(["a", "b", "c"])[2] is None
        assert None not in index.get(["a", "b"])
        assert index.count() == 2


@pytest.mark.parametrize("consistency", ["session", "bounded"])
def test_with_the_others_it_is_seen_a_little_later(place: ServerPlace, consistency: str) -> None:
    place.open().close()
    with open_index(f"{place.uri}?consistency={consistency}") as index:
        assert index.count() == 0
        write_elsewhere(place.uri, "a")
        while index.count() == 0:
            pass
        assert index.search(X)[0][0].id == "a"


def test_with_bounded_consistency_a_write_still_keeps_what_this_process_wrote_before(place: ServerPlace) -> None:
    place.open().close()
    with open_index(f"{place.uri}?consistency=bounded", "w") as index:
        for n in range(5):
            index.upsert(["a"], X, [{"n": n}])
            index.update(["a"], [{f"m{n}": n}])
            assert [product.attributes for product in index.get(["a"]) if product] == [{"n": n, f"m{n}": n}]


# How a collection comes to be


def test_a_collection_that_could_not_be_made_is_removed(server: Collections, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = server.unused()

    def refused(names: Any, metric: str, *, lite: bool) -> Any:
        from pymilvus import MilvusClient

        params = MilvusClient.prepare_index_params()
        params.add_index("owner", index_type="NONE_SUCH")
        return params

    monkeypatch.setattr(client_module, "indexes", refused)
    with pytest.raises(MilvusError) as error:
        open_index(uri, "w", dimension=4)
    assert "\n" not in str(error.value)
    monkeypatch.undo()
    with pytest.raises(NotFound):
        open_index(uri, "r")
    open_index(uri, "w", dimension=4).close()
    server.drop(uri)


def test_a_collection_that_is_not_loaded_is_loaded_by_who_writes_and_said_to_who_reads(
    place: ServerPlace, server: Collections
) -> None:
    place.open().close()
    client = server.client()
    client.release_collection(place.uri.rpartition("/")[2])
    client.close()
    with pytest.raises(MilvusError, match="not loaded") as error:
        open_index(place.uri, "r")
    assert "\n" not in str(error.value)
    with open_index(place.uri, "w") as index:
        index.upsert(["a"], X)
        assert index.count() == 1


def test_an_index_is_copied_to_the_server_and_back_whole(place: ServerPlace, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    vectors = random.standard_normal((3_000, 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    ids = [f"p{n // 2}" for n in range(len(vectors))]
    with open_index(tmp_path / "a.index", "w", dimension=4, dtype="float32") as index:
        photos = [Photo(f"{n % 2}.jpg", f"sha256:{n}") for n in range(len(vectors))]
        index.upsert(ids, vectors, [{"n": n // 2} for n in range(len(vectors))], photos=photos)
    place.open().close()
    assert copy(tmp_path / "a.index", place.uri) == 1_500
    assert copy(place.uri, tmp_path / "b.index", dtype="float32") == 1_500
    with open_index(tmp_path / "a.index") as one, open_index(tmp_path / "b.index") as other:
        names = [f"p{n}" for n in range(1_500)]
        for before, after in zip(one.get(names, vectors=True), other.get(names, vectors=True), strict=True):
            assert before
            assert after
            assert (before.photos, before.attributes) == (after.photos, after.attributes)
            np.testing.assert_allclose(before.vectors, after.vectors, atol=1e-6)
