"""Two users of one store of models or one cache, wherever the first is between looking and acting."""

from collections.abc import Callable
from pathlib import Path

import pytest

from lykeion.core import SILENT, digest_bytes
from lykeion.oci import Descriptor
from lykeion.oci.distribution import DiskStore
from lykeion.registry import BlobCache, collect, parse, pull
from tests.interleaving import Meeting, meet_at_every_act
from tests.registry.making import pushed

CONTENT = b"content" * 100
BLOB = Descriptor("application/octet-stream", digest_bytes(CONTENT), len(CONTENT))


def fetch(path: Path) -> None:
    path.write_bytes(CONTENT)


def damaged_cache(root: Path) -> BlobCache:
    path = BlobCache(root).obtain(BLOB, fetch)
    path.chmod(0o644)
    path.write_bytes(b"other")
    return BlobCache(root)


@pytest.mark.parametrize("make", [BlobCache, damaged_cache], ids=["empty", "damaged"])
def test_two_take_one_blob_from_the_cache(tmp_path: Path, make: Callable[[Path], BlobCache]) -> None:
    def prepare(number: int) -> Meeting:
        cache = make(tmp_path / f"{number}")

        def take(name: str) -> Callable[[], None]:
            return lambda: cache.link(BLOB, fetch, tmp_path / f"{number}-{name}")

        def check() -> None:
            assert {(tmp_path / f"{number}-{name}").read_bytes() for name in ("a", "b")} == {CONTENT}
            assert cache.find(BLOB)

        return Meeting(take("a"), take("b"), check)

    assert meet_at_every_act(prepare) > 3


def test_a_cache_is_cleared_while_a_blob_is_taken_from_it(tmp_path: Path) -> None:
    def prepare(number: int) -> Meeting:
        cache = BlobCache(tmp_path / f"{number}")
        cache.obtain(BLOB, fetch)
        target = tmp_path / f"{number}-linked"

        def check() -> None:
            assert target.read_bytes() == CONTENT

        return Meeting(lambda: cache.link(BLOB, fetch, target), cache.clear, check)

    assert meet_at_every_act(prepare) > 1


@pytest.mark.slow
def test_two_push_into_a_new_store(tmp_path: Path) -> None:
    def prepare(number: int) -> Meeting:
        root = tmp_path / str(number)

        def push(name: str) -> Callable[[], object]:
            return lambda: pushed(DiskStore(root / "store"), root / name, name, name.encode())

        def check() -> None:
            assert DiskStore(root / "store").repositories() == ["bags", "shoes"]

        return Meeting(push("shoes"), push("bags"), check)

    assert meet_at_every_act(prepare) > 20


@pytest.mark.slow
def test_garbage_is_collected_while_a_model_is_pushed(tmp_path: Path) -> None:
    def prepare(number: int) -> Meeting:
        root = tmp_path / str(number)
        store = DiskStore(root / "store")
        pushed(store, root / "before", "shoes")

        def check() -> None:
            pull(store, parse("shoes:v2"), root / "pulled", reporter=SILENT)
            assert (root / "pulled" / "model.tflite").read_bytes() == b"new"

        return Meeting(
            lambda: pushed(store, root / "after", "shoes", b"new"), lambda: collect(DiskStore(store.root)), check
        )

    assert meet_at_every_act(prepare) > 20


def test_two_pull_into_one_new_directory(tmp_path: Path) -> None:
    store = DiskStore(tmp_path / "store")
    pushed(store, tmp_path / "made", "shoes")

    def prepare(number: int) -> Meeting:
        directory = tmp_path / f"pulled-{number}"

        def take() -> None:
            pull(DiskStore(store.root), parse("shoes:v1"), directory, reporter=SILENT)

        def check() -> None:
            assert (directory / "model.tflite").read_bytes() == b"weights"

        return Meeting(take, take, check)

    assert meet_at_every_act(prepare) > 10
