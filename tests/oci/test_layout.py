"""What an OCI layout directory promises to those who share it."""

import json
import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lykeion.core import Unavailable, digest_bytes
from lykeion.oci import (
    EMPTY,
    EMPTY_BLOB,
    BlobMissing,
    ContentDamaged,
    ContentError,
    Descriptor,
    ImageIndex,
    ImageManifest,
    Layout,
    Platform,
    RefMoved,
    media_types,
    read_manifest,
)
from lykeion.oci.distribution import DiskStore
from lykeion.oci.references import ref_of, with_ref, without_ref
from tests import mounts


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout.open(tmp_path / "layout", create=True)


def artifact(layout: Layout, content: bytes, ref: str | None = None, subject: Descriptor | None = None) -> Descriptor:
    layout.put(EMPTY_BLOB, media_types.EMPTY)
    blob = layout.put(content, "text/plain")
    return layout.put_manifest(ImageManifest(EMPTY, (blob,), "text/note", subject), ref)


def test_a_blob_is_read_as_it_was_written(layout: Layout) -> None:
    blob = layout.put(b"shoes", "text/plain")
    assert layout.read(blob) == b"shoes"
    assert list(layout.digests()) == [blob.digest]


def test_a_blob_that_fails_half_way_leaves_nothing(layout: Layout) -> None:
    def interrupted() -> None:
        with layout.writer() as blob:
            blob.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(layout.digests()) == []
    assert layout.sweep() == 0


def test_content_that_is_not_what_was_expected_is_refused(layout: Layout, tmp_path: Path) -> None:
    expected = layout.put(b"expected", "text/plain")

    def receive(content: bytes) -> None:
        with layout.writer() as blob:
            blob.expect(expected)
            blob.write(content)

    for content in (b"received", b"expected and more", b"exp"):
        with pytest.raises(ContentDamaged):
            receive(content)


def test_a_damaged_blob_is_never_returned(layout: Layout) -> None:
    blob = layout.put(b"shoes", "text/plain")
    layout.path_of(blob.digest).chmod(0o644)
    layout.path_of(blob.digest).write_bytes(b"boots")
    for look in (layout.read, layout.verify):
        with pytest.raises(ContentDamaged):
            look(blob)


def test_a_digest_cannot_name_a_path(layout: Layout) -> None:
    for digest in ("sha256:../../../etc/passwd", "md5:" + "0" * 32, "sha256:" + "A" * 64):
        with pytest.raises(ContentError, match="is not a digest"):
            layout.has(digest)


def test_a_missing_blob_is_named(layout: Layout) -> None:
    with pytest.raises(BlobMissing, match="sha256:0000"):
        layout.read(Descriptor("text/plain", "sha256:" + "0" * 64, 3))


def test_a_reference_moves_only_from_where_it_was_expected(layout: Layout) -> None:
    first, second = artifact(layout, b"1"), artifact(layout, b"2")
    assert layout.set_ref("shoes:best", first, expect=None) is None
    with pytest.raises(RefMoved):
        layout.set_ref("shoes:best", second, expect=None)
    assert layout.set_ref("shoes:best", second, expect=first.digest) == first.digest
    found = layout.resolve("shoes:best")
    assert found is not None
    assert found.digest == second.digest
    assert layout.resolve(first.digest), "a manifest that lost its reference is still listed"


def test_a_reference_that_is_removed_leaves_its_manifest(layout: Layout) -> None:
    manifest = artifact(layout, b"1", "shoes:1")
    assert layout.remove_ref("shoes:1", expect=manifest.digest) == manifest.digest
    assert layout.resolve("shoes:1") is None
    assert layout.resolve(manifest.digest)


def test_referrers_are_found_by_their_subject(layout: Layout) -> None:
    image = artifact(layout, b"image", "shoes:1")
    note = artifact(layout, b"note", subject=image)
    assert [found.digest for found in layout.referrers(image.digest)] == [note.digest]
    assert layout.referrers(image.digest, "other/type") == ()


def test_another_directory_is_not_taken_for_a_layout(tmp_path: Path) -> None:
    with pytest.raises(ContentError, match="not an OCI layout"):
        Layout.open(tmp_path)
    (tmp_path / "thesis.tex").write_text("…")
    with pytest.raises(ContentError, match="name another directory"):
        Layout.open(tmp_path, create=True)


def test_a_blob_is_shared_with_another_layout(layout: Layout, tmp_path: Path) -> None:
    other = Layout.open(tmp_path / "other", create=True)
    blob = layout.put(b"shoes", "text/plain")
    other.take(layout, blob)
    other.take(layout, blob)
    assert other.read(blob) == b"shoes"


def test_a_fetched_file_becomes_a_blob_if_it_is_what_it_should_be(layout: Layout, tmp_path: Path) -> None:
    blob = Descriptor("text/plain", digest_bytes(b"shoes"), 5)
    for content in (b"boots", b"shoe"):
        (tmp_path / "part").write_bytes(content)
        with pytest.raises(ContentDamaged):
            layout.adopt(tmp_path / "part", blob)
    (tmp_path / "part").write_bytes(b"shoes")
    layout.adopt(tmp_path / "part", blob)
    assert layout.read(blob) == b"shoes"
    assert not (tmp_path / "part").exists()


def test_two_writers_of_the_index_lose_no_entry(layout: Layout) -> None:
    manifest = artifact(layout, b"1")
    writers = []
    for writer in range(4):
        if (child := os.fork()) == 0:
            for turn in range(10):
                layout.set_ref(f"shoes:{writer}-{turn}", manifest)
            os._exit(0)
        writers.append(child)
    assert all(os.waitpid(child, 0)[1] == 0 for child in writers)
    assert sum(ref_of(entry) is not None for entry in layout.entries()) == 40


def test_a_killed_writer_leaves_a_readable_layout_and_what_sweep_takes(layout: Layout) -> None:
    manifest = artifact(layout, b"1", "shoes:1")
    for turn in range(5):
        written, telling = os.pipe()
        if (child := os.fork()) == 0:
            while True:
                with layout.writer() as blob:
                    blob.write(os.urandom(100_000))
                layout.set_ref("shoes:2", manifest)
                os.write(telling, b"x")
        os.close(telling)
        assert all(os.read(written, 1) for _ in range(turn + 1))
        os.kill(child, signal.SIGKILL)
        os.close(written)
        os.waitpid(child, 0)
        found = layout.resolve("shoes:1")
        assert found is not None
        assert found.digest == manifest.digest
    for digest in layout.digests():
        layout.verify(Descriptor("text/plain", digest, layout.path_of(digest).stat().st_size))
    layout.sweep()
    assert not list((layout.root / "ingest").glob("*.part"))
    assert not list(layout.root.glob(".index.json.*"))


def test_sweep_leaves_a_blob_that_is_being_written(layout: Layout) -> None:
    with layout.writer() as blob:
        blob.write(b"under way")
        assert layout.sweep() == 0
    assert layout.has(blob.digest)


names = st.text(min_size=1, max_size=20)
descriptors = st.builds(
    Descriptor,
    media_type=names,
    digest=st.binary(min_size=32, max_size=32).map(lambda value: "sha256:" + value.hex()),
    size=st.integers(0, 1 << 50),
    artifact_type=st.just("") | names,
    platform=st.none() | st.builds(Platform, names, names, st.just("") | names),
    annotations=st.dictionaries(names, st.text(max_size=20), max_size=3),
)


@given(st.builds(ImageManifest, descriptors, st.lists(descriptors, max_size=4).map(tuple), st.just("") | names))
def test_a_manifest_is_read_as_it_was_written(manifest: ImageManifest) -> None:
    assert read_manifest(manifest.to_bytes()) == manifest


@given(st.builds(ImageIndex, st.lists(descriptors, max_size=4).map(tuple)))
def test_an_index_is_read_as_it_was_written(index: ImageIndex) -> None:
    assert read_manifest(index.to_bytes()) == index


@given(
    st.binary(max_size=200)
    | st.recursive(st.none() | st.integers() | names, st.lists).map(json.dumps).map(str.encode)
)
def test_what_is_no_manifest_is_an_error_in_one_line(data: bytes) -> None:
    with pytest.raises(ContentError) as caught:
        read_manifest(data)
    assert "\n" not in str(caught.value)


def test_a_manifest_with_a_field_given_twice_is_refused() -> None:
    """Two readers could take different ones, and so different files, of one digest."""
    manifest = ImageManifest(EMPTY, ()).to_bytes()
    with pytest.raises(ContentError, match="'layers' is given twice"):
        read_manifest(manifest.replace(b'"layers":[]', b'"layers":[],"layers":[]'))


@given(st.lists(st.tuples(st.sampled_from(["a", "b", None]), st.integers(0, 2)), max_size=8))
def test_a_reference_names_one_manifest_and_no_manifest_is_lost(steps: list[tuple[str | None, int]]) -> None:
    manifests = [Descriptor(media_types.MANIFEST, "sha256:" + f"{number:064x}", 1) for number in range(3)]
    entries: tuple[Descriptor, ...] = ()
    for ref, number in steps:
        entries = with_ref(entries, manifests[number], ref)
    refs = [ref_of(entry) for entry in entries if ref_of(entry)]
    assert len(refs) == len(set(refs))
    assert {entry.digest for entry in entries} == {manifests[number].digest for _, number in steps}
    assert {entry.digest for entry in without_ref(entries, "a")} == {entry.digest for entry in entries}


# --- disks that refuse ---


def test_a_full_disk_refuses_a_blob_in_one_line_and_keeps_no_part_of_it(tmp_path: Path) -> None:
    content = os.urandom(2**22)
    blob = Descriptor("application/octet-stream", digest_bytes(content), len(content))
    with mounts.small_disk(tmp_path / "disk") as disk:
        store = DiskStore(disk / "store")
        for source in (content, tmp_path / "source"):
            (tmp_path / "source").write_bytes(content)
            with pytest.raises(Unavailable, match=r"store: cannot be written \(No space left on device\)") as error:
                store.put("shoes", blob, source, lambda _count: None)
            assert "\n" not in str(error.value)
            assert not store.has("shoes", blob.digest)
            assert list((disk / "store" / "ingest").glob("*.part")) == []
        mounts.fill(disk)
        with pytest.raises(Unavailable, match="No space left on device"):
            Layout.open(disk / "store").set_ref("shoes:v1", Descriptor("text/plain", digest_bytes(b""), 0))


def test_a_layout_on_a_read_only_mount_is_read_and_locked_by_whoever_only_reads(tmp_path: Path) -> None:
    store = DiskStore(tmp_path / "store")
    with store.busy():
        blob = store.layout.put(b"content", "text/plain")
    for locks in (True, False):
        if not locks:
            shutil.rmtree(tmp_path / "store" / "ingest")
        with mounts.read_only(tmp_path / "store"):
            with store.busy():
                assert store.read("shoes", blob) == b"content"
            with pytest.raises(Unavailable, match="Read-only file system"):
                store.put(
                    "shoes", replace(blob, digest=digest_bytes(b"other"), size=5), b"other", lambda _count: None
                )
