import os
import threading
from pathlib import Path

import pytest

from lykeion.core import SILENT, NotFound
from lykeion.oci import Layout
from lykeion.oci.distribution import DiskStore, Reference
from lykeion.registry import (
    Lineage,
    ModelFacts,
    Publication,
    Stores,
    collect,
    forget_runs,
    parse,
    publish,
    remove,
    sign,
    verify,
)
from tests.registry.keys import key_pair
from tests.registry.making import IGNORE, packed, pushed


@pytest.fixture
def store(tmp_path: Path) -> DiskStore:
    return DiskStore(tmp_path / "store")


def blobs(store: DiskStore) -> set[str]:
    return set(Layout.open(store.root).digests())


def test_nothing_that_a_tag_needs_goes(store: DiskStore, tmp_path: Path) -> None:
    for n in range(3):
        pushed(store, tmp_path / str(n), "shoes:canary", str(n).encode())
    sign(store, parse("shoes:v1"), key_pair(tmp_path / "key")[0])
    before = blobs(store)
    assert collect(store).manifests == ()
    assert blobs(store) == before


def test_beyond_the_newest_versions_only_aliases_lineage_and_pins_keep(store: DiskStore, tmp_path: Path) -> None:
    digests = [pushed(store, tmp_path / str(n), "shoes", str(n).encode()) for n in range(6)]
    parent = ModelFacts({}, Lineage(parents=(f"shoes@{digests[1]}",)))
    pushed(store, tmp_path / "child", "shoes:champion", b"child", parent)
    store.write("shoes", [], {"old": digests[3]})
    told = collect(store, keep_versions=1, pins=["shoes:v5"], dry_run=True)
    assert told.manifests == ("shoes:v1", "shoes:v3", "shoes:v6")
    assert told.size_bytes > 0
    assert store.resolve("shoes", "v1") == digests[0]
    assert collect(store, keep_versions=1, pins=["shoes:v5"]) == told
    assert [tag for tag in store.tags("shoes") if tag[0] == "v"] == ["v2", "v4", "v5", "v7"]
    for version in ("v2", "v4", "v5", "v7"):
        assert verify(store, Reference(None, "shoes", version), reporter=SILENT) == []
    assert collect(store, keep_versions=1, pins=["shoes:v5"]).blobs == 0


def test_a_signature_goes_with_what_it_signs(store: DiskStore, tmp_path: Path) -> None:
    pushed(store, tmp_path / "1", "shoes", b"1")
    sign(store, parse("shoes:v1"), key_pair(tmp_path / "key")[0])
    pushed(store, tmp_path / "2", "shoes", b"2")
    assert len(collect(store, keep_versions=1).manifests) == 2


def test_a_removed_number_is_not_given_again(store: DiskStore, tmp_path: Path) -> None:
    pushed(store, tmp_path / "1", "shoes", b"1")
    collect(store, keep_versions=0)
    pushed(store, tmp_path / "2", "shoes", b"2")
    assert (store.resolve("shoes", "v1"), bool(store.resolve("shoes", "v2"))) == (None, True)


def test_what_an_interrupted_push_left_goes(store: DiskStore, tmp_path: Path) -> None:
    pushed(store, tmp_path / "1", "shoes:canary", b"1")
    before = blobs(store)
    model = packed(tmp_path / "2", content=b"2" * 1000)
    for blob in model.model.manifest.blobs:
        store.put("shoes", blob, model.sources[blob.digest], IGNORE)
    (store.root / "ingest" / "left.part").write_bytes(b"x")
    assert collect(store).blobs > 0
    assert blobs(store) == before
    assert not (store.root / "ingest" / "left.part").exists()


def test_collecting_waits_for_a_push_that_is_under_way(store: DiskStore, tmp_path: Path) -> None:
    with store.busy():
        thread = threading.Thread(target=collect, args=(store,))
        thread.start()
        digest = pushed(store, tmp_path / "1", "shoes", os.urandom(1000))
        assert thread.is_alive()
    thread.join()
    assert store.holds("shoes", digest)
    assert verify(store, parse("shoes"), reporter=SILENT) == []


def test_what_other_tools_keep_in_the_layout_is_left_alone(store: DiskStore, tmp_path: Path) -> None:
    pushed(store, tmp_path / "1", "shoes", b"1")
    (entry,) = [entry for _, tag, entry in store.entries() if tag == "v1"]
    store.layout.set_ref("latest", entry)
    store.delete("shoes", entry.digest)
    before = blobs(store)
    assert collect(store).blobs == 0
    assert blobs(store) == before


def test_a_pin_that_is_not_there_is_an_error_and_removes_nothing(store: DiskStore, tmp_path: Path) -> None:
    assert collect(store).blobs == 0  # a store that is not there has no garbage
    pushed(store, tmp_path / "1", "shoes:canary", b"1")
    remove(store, "shoes", "canary")
    for pin in ("shoes:v9", "bags", "r.example/shoes:v1"):
        with pytest.raises(NotFound):
            collect(store, keep_versions=0, pins=[pin])
    assert store.resolve("shoes", "v1")


def test_artifacts_of_runs_go_with_them_but_not_what_a_tag_of_ones_own_needs(tmp_path: Path) -> None:
    stores = Stores(tmp_path / "store")
    for number, name in enumerate(("gone", "lives", "tagged")):
        directory = tmp_path / name
        directory.mkdir()
        (directory / "rows.bin").write_bytes(bytes([number]))
        aliases = (f"cache-{number}", *(("mine",) if name == "tagged" else ()))
        whole = Publication(whole=True, aliases=aliases)
        publish(directory, f"pipelines/x/out:run-{name}", stores, whole, reporter=SILENT)
        publish(directory, f"shop/{name}:run-{name}", stores, Publication(whole=True), reporter=SILENT)
    assert forget_runs(stores.disk, ("pipelines/",), lambda: {"lives"}) == 1
    tags = set(stores.disk.tags("pipelines/x/out"))
    assert {tag for tag in tags if not tag.startswith("lykeion.")} == {
        "v2", "v3", "run-lives", "cache-1", "run-tagged", "cache-2", "mine",
    }  # fmt: skip
    assert not any("gone" in tag for tag in tags)
    assert "run-gone" in stores.disk.tags("shop/gone")
    assert forget_runs(stores.disk, ("pipelines/",), lambda: {"lives"}) == 0
    assert any(each.startswith("pipelines/x/out@") for each in collect(stores.disk).manifests)
    assert forget_runs(stores.disk, ("pipelines/", "shop/"), lambda: set[str]()) == 4
    assert not any(stores.disk.tags(repository) for repository in ("shop/gone", "shop/lives", "shop/tagged"))
