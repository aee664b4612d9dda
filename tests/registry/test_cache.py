import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from lykeion.core import SILENT, digest_bytes
from lykeion.oci import ContentDamaged, Descriptor
from lykeion.oci.distribution import DiskStore, Reference, RemoteStore, StoreError, Transport
from lykeion.registry import BlobCache, parse, pull
from tests.oci.distribution.fake import running
from tests.registry.making import IGNORE, pushed

CONTENT = b"content" * 1000
BLOB = Descriptor("application/octet-stream", digest_bytes(CONTENT), len(CONTENT))


def write(path: Path) -> None:
    path.write_bytes(CONTENT)


def test_a_blob_is_fetched_once_however_many_ask(tmp_path: Path) -> None:
    fetched: list[Path] = []

    def fetch(path: Path) -> None:
        fetched.append(path)
        path.write_bytes(CONTENT)

    found: list[Path] = []
    threads = [
        threading.Thread(target=lambda: found.append(BlobCache(tmp_path / "c").obtain(BLOB, fetch))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(fetched) == 1
    assert {path.read_bytes() for path in found} == {CONTENT}


def test_a_file_that_was_written_to_is_fetched_again(tmp_path: Path) -> None:
    cache = BlobCache(tmp_path / "c")
    path = cache.obtain(BLOB, write)
    path.chmod(0o644)
    path.write_bytes(CONTENT.upper())
    assert cache.find(BLOB) is None
    assert cache.obtain(BLOB, write).read_bytes() == CONTENT


def test_clearing_leaves_what_is_being_fetched(tmp_path: Path) -> None:
    cache = BlobCache(tmp_path / "c")
    cache.obtain(BLOB, write)
    other = Descriptor("x", digest_bytes(b"other"), 5)

    def fetch(path: Path) -> None:
        path.write_bytes(b"ot")
        assert BlobCache(cache.root).clear() == (1, len(CONTENT))
        path.write_bytes(b"other")

    assert cache.obtain(other, fetch).read_bytes() == b"other"


def test_a_second_pull_from_a_registry_transfers_no_file(tmp_path: Path) -> None:
    with running() as registry:
        store, cache = RemoteStore(Transport(registry.host)), BlobCache(tmp_path / "c")
        pushed(store, tmp_path / "a", "shoes", os.urandom(10_000))
        pull(store, Reference(registry.host, "shoes"), tmp_path / "b", cache=cache, reporter=SILENT)
        registry.clear()
        assert pull(store, Reference(registry.host, "shoes"), tmp_path / "d", cache=cache, reporter=SILENT).new
        assert not pull(store, Reference(registry.host, "shoes"), tmp_path / "d", cache=cache, reporter=SILENT).new
        assert not [request for request in registry.requests if "/blobs/" in request]


def test_a_pull_leaves_nothing_half_written(tmp_path: Path) -> None:
    store, target = DiskStore(tmp_path / "store"), tmp_path / "out" / "shoes"
    digest = pushed(store, tmp_path / "a", "shoes", b"1" * 1000)
    blob = next(path for path in (store.root / "blobs" / "sha256").iterdir() if path.read_bytes() == b"1" * 1000)
    blob.chmod(0o644)
    blob.write_bytes(b"2" * 1000)
    with pytest.raises(Exception, match="does not hold what its name says"):
        pull(store, parse(f"shoes@{digest}"), target, reporter=SILENT)
    assert not list(target.parent.iterdir())
    blob.write_bytes(b"1" * 1000)
    left = target.parent / f".{target.name}.pulling-dead"
    left.mkdir()
    pull(store, parse("shoes"), target, reporter=SILENT)
    assert [path.name for path in target.parent.iterdir()] == ["shoes"]


def test_a_directory_with_something_else_is_not_touched(tmp_path: Path) -> None:
    store = DiskStore(tmp_path / "store")
    pushed(store, tmp_path / "a", "shoes")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(StoreError, match="holds something else"):
        pull(store, parse("shoes"), tmp_path / "out", reporter=SILENT)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]


def test_a_file_that_was_changed_in_place_is_found_out_whatever_its_time_says(tmp_path: Path) -> None:
    cache = BlobCache(tmp_path / "c")
    path = cache.obtain(BLOB, write)
    before = path.stat()
    path.chmod(0o644)
    path.write_bytes(CONTENT.upper())
    path.chmod(0o444)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert cache.obtain(BLOB, write).read_bytes() == CONTENT


def test_a_size_that_a_manifest_makes_up_is_refused_although_the_blob_is_there(tmp_path: Path) -> None:
    cache, store = BlobCache(tmp_path / "c"), DiskStore(tmp_path / "store")
    lying = replace(BLOB, size=5)
    cache.obtain(BLOB, write)
    store.put("shoes", BLOB, CONTENT, IGNORE)
    with running() as registry:
        remote = RemoteStore(Transport(registry.host))
        remote.put("shoes", BLOB, CONTENT, IGNORE)
        remote.put("shoes", longer := replace(BLOB, size=len(CONTENT) + 1), CONTENT, IGNORE)
        for attempt in (
            lambda: cache.obtain(lying, write),
            lambda: store.put("shoes", lying, CONTENT, IGNORE),
            lambda: store.mount("shoes", lying, "bags"),
            lambda: store.fetch("shoes", lying, tmp_path / "out", IGNORE),
            lambda: store.read("shoes", lying),
            lambda: remote.read("shoes", longer),
        ):
            with pytest.raises(ContentDamaged):
                attempt()
