import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from lykeion.core import SILENT, digest_bytes
from lykeion.oci import EMPTY, ContentDamaged, Descriptor, ImageManifest
from lykeion.oci.distribution import DiskStore, Reference, RemoteStore, StoreError, Transport
from lykeion.registry import BlobCache, ModelFacts, parse, pull
from lykeion.registry.artifact.modelpack import ARTIFACT
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
    with pytest.raises(StoreError, match="has other files"):
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


@pytest.fixture
def shoes(tmp_path: Path) -> DiskStore:
    store = DiskStore(tmp_path / "store")
    pushed(store, tmp_path / "a", "shoes", facts=ModelFacts({"top1": 0.5}))
    return store


def pulled(store: DiskStore, directory: Path, name: str = "shoes") -> bool:
    return pull(store, parse(name), directory, reporter=SILENT).new


def names(directory: Path) -> list[str]:
    return sorted(path.relative_to(directory).as_posix() for path in directory.rglob("*"))


WHOLE = ["README.md", "lykeion.json", "model.tflite"]


def test_a_directory_that_exists_is_filled_and_stays_the_same(
    shoes: DiskStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, link = tmp_path / "here", tmp_path / "link"
    here.mkdir()
    monkeypatch.chdir(here)
    inode = here.stat().st_ino
    assert pulled(shoes, Path())
    assert (names(here), here.stat().st_ino) == (WHOLE, inode)
    assert not pulled(shoes, Path())
    (tmp_path / "empty").mkdir()
    link.symlink_to("empty")
    assert pulled(shoes, link)
    assert link.is_symlink()
    assert names(tmp_path / "empty") == WHOLE
    (tmp_path / "dangling").symlink_to("new")
    assert pulled(shoes, tmp_path / "dangling")
    assert names(tmp_path / "new") == WHOLE


def test_as_it_was_means_every_file_and_nothing_else(shoes: DiskStore, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert pulled(shoes, out)
    assert not pulled(shoes, out)
    for missing in ("lykeion.json", "model.tflite"):
        (out / missing).unlink()
        assert pulled(shoes, out)
        assert names(out) == WHOLE
    for name in ("lykeion.json", "model.tflite", "more.txt", "deep/er.txt"):
        path = out / name
        before = path.read_bytes() if path.exists() else None
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"else")
        with pytest.raises(StoreError, match=f"other files .{name}"):
            pulled(shoes, out)
        assert path.read_bytes() == b"else"
        path.unlink() if before is None else path.write_bytes(before)
    (out / "deep" / "er").symlink_to("/etc")
    with pytest.raises(StoreError, match="deep/er"):
        pulled(shoes, out)


def test_pulls_to_one_directory_take_turns(shoes: DiskStore, tmp_path: Path) -> None:
    for made in (False, True):
        out = tmp_path / f"out{made}" / "shoes"
        if made:
            out.mkdir(parents=True)
        with ThreadPoolExecutor(6) as pool:
            new = list(pool.map(pulled, [shoes] * 6, [out] * 6))
        assert sorted(new) == [False] * 5 + [True]
        assert names(out.parent) == ["shoes", *(f"shoes/{name}" for name in WHOLE)]


def test_what_a_killed_pull_left_is_completed(shoes: DiskStore, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / ".pulling" / "deep").mkdir(parents=True)
    (out / ".pulling" / "model.tflite").write_bytes(b"half")
    (out / "README.md").write_bytes(b"# A model\n")
    assert pulled(shoes, out)
    assert names(out) == WHOLE


def test_a_model_without_files_is_an_empty_directory(tmp_path: Path) -> None:
    store, config = DiskStore(tmp_path / "store"), b"{}"
    store.put("shoes", EMPTY, config, IGNORE)
    data = ImageManifest(EMPTY, (), artifact_type=ARTIFACT).to_bytes()
    store.write("shoes", [data], {"v1": digest_bytes(data)})
    assert pulled(store, tmp_path / "out")
    assert names(tmp_path / "out") == []
    assert not pulled(store, tmp_path / "out")
