"""Images go to a registry and come from one with the same digest, and what is attached goes along."""

import errno
import os
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from lykeion.cli import app
from lykeion.core import SILENT, NotFound, Unavailable, digest_bytes
from lykeion.images.building.assembly import BuiltImage, build
from lykeion.images.building.referrers import BILL, PROVENANCE
from lykeion.images.building.volume import build_volume
from lykeion.images.errors import ImageError
from lykeion.images.image_description import describe_image, read_attached
from lykeion.images.registries import image_reference, pull_image, push_image
from lykeion.images.spec import read_spec
from lykeion.oci import EMPTY, Descriptor, ImageManifest, Layout, Platform, media_types
from lykeion.oci.distribution import Advance, ArtifactStore, Reference, RemoteStore, Transport
from tests.oci.distribution.fake import running

from .making import describe


@pytest.fixture
def host() -> Iterator[str]:
    with running() as registry:
        yield registry.host


@pytest.fixture
def store(host: str) -> ArtifactStore:
    return RemoteStore(Transport(host))


def at(store: ArtifactStore, name: str) -> Reference:
    return image_reference(f"{store.host}/{name}")


@pytest.fixture
def image(project: Path, output: Layout) -> BuiltImage:
    return build(read_spec(project / "image.yaml"), output, reporter=SILENT)


def test_an_image_comes_back_with_its_digest(
    image: BuiltImage, output: Layout, store: ArtifactStore, tmp_path: Path
) -> None:
    push_image(output, image.descriptor, at(store, "shop/search:v1"), store=store, reporter=SILENT)
    assert store.resolve("shop/search", "v1") == image.descriptor.digest
    kinds = {it.artifact_type for it in store.referrers("shop/search", image.descriptor.digest, "")}
    assert kinds == {"application/vnd.cyclonedx+json", "application/vnd.in-toto+json"}
    other = Layout.open(tmp_path / "other", create=True)
    found = pull_image(at(store, f"shop/search@{image.descriptor.digest}"), other, store=store, reporter=SILENT)
    assert found.digest == image.descriptor.digest
    for layer in image.parts[0].layers:
        other.verify(layer.descriptor)
    assert read_attached(other, found, "bill") == read_attached(output, image.descriptor, "bill")


def test_pushing_again_attaches_no_second(image: BuiltImage, output: Layout, store: ArtifactStore) -> None:
    for _ in range(2):
        push_image(output, image.descriptor, at(store, "shop/search:v1"), store=store, reporter=SILENT)
    assert len(store.referrers("shop/search", image.descriptor.digest, "")) == 2


def test_one_platform_of_an_index_can_be_pulled(
    project: Path, output: Layout, store: ArtifactStore, tmp_path: Path
) -> None:
    volume = build_volume(project / "app", output, "app:v1", compression="none")
    push_image(output, volume.descriptor, at(store, "app:v1"), store=store, reporter=SILENT)
    other = Layout.open(tmp_path / "other", create=True)
    pull_image(
        at(store, f"app@{volume.descriptor.digest}"),
        other,
        platforms=[Platform("linux", "arm64")],
        store=store,
        reporter=SILENT,
    )
    assert sum(1 for _ in other.digests()) == 5, "the index, both manifests, one configuration, the layer"


def test_a_base_is_fetched_by_its_digest(image: BuiltImage, output: Layout, host: str, project: Path) -> None:
    push_image(output, image.descriptor, image_reference(f"{host}/base/python:v1"), reporter=SILENT)
    describe(project, name="above", base={"registry": f"{host}/base/python@{image.descriptor.digest}"})
    done = CliRunner().invoke(app, ["images", "build", str(project / "image.yaml"), "--json"], catch_exceptions=False)
    assert image.parts[0].layers[0].descriptor.digest in done.stdout


def test_push_and_pull_by_command(image: BuiltImage, output: Layout, host: str, tmp_path: Path) -> None:
    def run(*arguments: str) -> str:
        return CliRunner().invoke(app, ["images", *arguments, "-q"], catch_exceptions=False).stdout

    target = f"{host}/shop/search:v1"
    assert image.descriptor.digest in run("push", "shop:latest", target, "--layout", str(output.root))
    assert image.descriptor.digest in run("pull", target, "--layout", str(tmp_path / "other"))
    found = Layout.open(tmp_path / "other").resolve("search:v1")
    assert found is not None
    assert found.digest == image.descriptor.digest


def test_a_target_that_is_no_registry_is_refused(image: BuiltImage, output: Layout) -> None:
    with pytest.raises(ImageError, match="not in a registry"):
        CliRunner().invoke(
            app, ["images", "push", "shop:latest", "shop:v1", "--layout", str(output.root)], catch_exceptions=False
        )


def test_an_image_that_is_not_there_is_one_line(store: ArtifactStore, output: Layout) -> None:
    with pytest.raises(NotFound, match=r"shop/search:v9: no such image$"):
        pull_image(at(store, "shop/search:v9"), output, store=store, reporter=SILENT)


def test_without_a_tag_the_latest_is_pulled(image: BuiltImage, output: Layout, store: ArtifactStore) -> None:
    push_image(output, image.descriptor, at(store, "shop/search:latest"), store=store, reporter=SILENT)
    assert (
        pull_image(at(store, "shop/search"), output, store=store, reporter=SILENT).digest == image.descriptor.digest
    )


def test_pushing_needs_a_tag(image: BuiltImage, output: Layout, store: ArtifactStore) -> None:
    with pytest.raises(ImageError, match="has no tag"):
        push_image(output, image.descriptor, at(store, "shop/search"), store=store, reporter=SILENT)


class Crowded:
    """A store where the first who fetches waits a moment for another who fetches the same."""

    def __init__(self, store: ArtifactStore) -> None:
        self._store, self._another = store, threading.Event()
        self.fetched: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def fetch(self, repository: str, descriptor: Descriptor, path: Path, advance: Advance) -> None:
        self.fetched[descriptor.digest] += 1
        if self.fetched[descriptor.digest] > 1:
            self._another.set()
        self._another.wait(0.2)
        self._store.fetch(repository, descriptor, path, advance)


def test_two_may_pull_one_image_into_one_layout_at_once(
    image: BuiltImage, output: Layout, store: ArtifactStore, tmp_path: Path
) -> None:
    push_image(output, image.descriptor, at(store, "shop/search:v1"), store=store, reporter=SILENT)
    crowded = Crowded(store)
    layouts = [Layout.open(tmp_path / "one", create=True) for _ in range(3)]

    def pull(layout: Layout) -> str:
        there: Any = crowded
        found = pull_image(at(store, "shop/search:v1"), layout, ref="search:v1", store=there, reporter=SILENT)
        return found.digest

    with ThreadPoolExecutor(3) as pool:
        assert set(pool.map(pull, layouts)) == {image.descriptor.digest}
    assert set(crowded.fetched.values()) == {1}
    for layer in image.parts[0].layers:
        layouts[0].verify(layer.descriptor)
    left = {path.name for path in (tmp_path / "one" / "ingest").iterdir()}
    assert left <= {"content.lock", "index.lock"}


def test_a_full_disk_is_one_line_and_the_pull_resumes(
    image: BuiltImage, output: Layout, store: ArtifactStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    push_image(output, image.descriptor, at(store, "shop/search:v1"), store=store, reporter=SILENT)
    other = Layout.open(tmp_path / "other", create=True)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(Layout, "adopt", full)
        with pytest.raises(
            Unavailable, match=r"No space left on device\); free disk space, and pull again"
        ) as caught:
            pull_image(at(store, "shop/search:v1"), other, ref="search:v1", store=store, reporter=SILENT)
    assert "\n" not in str(caught.value)
    assert other.entries() == ()
    found = pull_image(at(store, "shop/search:v1"), other, ref="search:v1", store=store, reporter=SILENT)
    assert found.digest == image.descriptor.digest


def test_junk_that_is_attached_blocks_no_pull_and_is_named(
    image: BuiltImage, output: Layout, store: ArtifactStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A referrer that is not there, one that is no manifest, and one whose blob is missing."""
    push_image(output, image.descriptor, at(store, "shop/search:v1"), store=store, reporter=SILENT)
    lacking = ImageManifest(EMPTY, (Descriptor("text/plain", digest_bytes(b"gone"), 4),), "junk", image.descriptor)
    junk = {"sha256:" + "0" * 64: NotFound("holds no junk"), digest_bytes(b"junk"): b"junk"}
    junk[digest_bytes(lacking.to_bytes())] = lacking.to_bytes()
    listed, manifest = store.referrers, store.manifest

    def referrers(repository: str, digest: str, kind: str) -> list[Descriptor]:
        return [Descriptor(media_types.MANIFEST, it, 100) for it in junk] + listed(repository, digest, kind)

    def answer(repository: str, reference: str) -> bytes:
        found = junk.get(reference) or manifest(repository, reference)
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(store, "referrers", referrers)
    monkeypatch.setattr(store, "manifest", answer)
    other, heard = Layout.open(tmp_path / "other", create=True), Listener()
    pull_image(at(store, "shop/search:v1"), other, ref="search:v1", store=store, reporter=heard)
    assert len(heard.notices) == 3
    assert all(notice.startswith("skipped an attached document: ") for notice in heard.notices)
    assert {it.artifact_type for it in other.referrers(image.descriptor.digest)} == {BILL, PROVENANCE}
    monkeypatch.setattr("lykeion.images.registries.LIMIT_REFERRERS", 1)
    pull_image(at(store, "shop/search:v1"), other, ref="search:v1", store=store, reporter=heard)
    assert "5 referrers; only 1 are pulled" in heard.notices[3]


class Listener:
    def __init__(self) -> None:
        self.notices: list[str] = []

    def progress(self, *arguments: Any, **options: Any) -> Any:
        return SILENT.progress(*arguments, **options)

    def notice(self, text: str) -> None:
        self.notices.append(text)


def test_an_index_lists_no_more_images_than_one_has(
    project: Path, output: Layout, store: ArtifactStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume = build_volume(project / "app", output, "app:v1", compression="none")
    push_image(output, volume.descriptor, at(store, "app:v1"), store=store, reporter=SILENT)
    monkeypatch.setattr("lykeion.images.image.LIMIT_PLATFORMS", 1)
    with pytest.raises(ImageError, match="an index of 2 images; at most 1"):
        describe_image(output, volume.descriptor)
    with pytest.raises(ImageError, match="an index of 2 images; at most 1"):
        pull_image(at(store, "app:v1"), Layout.open(tmp_path / "o", create=True), store=store, reporter=SILENT)
