"""What every store does, whatever it is: run by test_behaviour.py on the disk and on a fake registry, and by
tests/e2e on a real one. A module that imports these tests has a fixture ``store``; ``name`` is a model's name that
nothing else uses."""

import os
import threading
from pathlib import Path
from uuid import uuid4

import pytest

from lykeion.core import SILENT, Conflict, LykeionError, NotFound, Unsupported, digest_bytes
from lykeion.oci import ContentDamaged, Descriptor
from lykeion.oci.distribution import ArtifactStore, InvalidReference, Reference, StoreError
from lykeion.registry import (
    BlobCache,
    Lineage,
    ModelFacts,
    compare,
    copy,
    history,
    lineage,
    list_versions,
    load,
    move,
    problems,
    pull,
    push,
    remove,
    resolve,
    show,
    sign,
    tags_at,
    verify,
)
from lykeion.registry.aliases import write_version
from lykeion.registry.artifact.model_artifact import pack
from tests.recorder import Recorder
from tests.registry.keys import key_pair
from tests.registry.making import IGNORE, model_directory, packed, pushed


@pytest.fixture
def name() -> str:
    return f"shop/shoes-{uuid4().hex[:12]}"


@pytest.fixture
def cache(tmp_path: Path) -> BlobCache:
    return BlobCache(tmp_path / "cache")


def test_what_was_pushed_is_pulled_byte_for_byte(
    store: ArtifactStore, name: str, tmp_path: Path, cache: BlobCache
) -> None:
    source = model_directory(tmp_path / "a", os.urandom(100_000), card_json=b"{}")
    (source / "deep" / "er").mkdir(parents=True)
    (source / "deep" / "er" / "empty.txt").touch()
    model = pack(source, name, ModelFacts({"top1": 0.9}))
    pushed_ = push(model, store, Reference(store.host, name), reporter=SILENT)
    pulled = pull(store, Reference(store.host, name, "v1"), tmp_path / "b", cache=cache, reporter=SILENT)
    assert pulled.digest == pushed_.digest
    assert pulled.new
    for path in source.rglob("*"):
        if path.is_file():
            assert (tmp_path / "b" / path.relative_to(source)).read_bytes() == path.read_bytes()
    assert (tmp_path / "b" / "lykeion.json").read_bytes() == ModelFacts({"top1": 0.9}).to_json()


def test_what_was_pulled_and_pushed_again_has_the_same_digest(
    store: ArtifactStore, name: str, tmp_path: Path, cache: BlobCache
) -> None:
    from lykeion.registry import gather

    model = packed(tmp_path / "a", name, top1=0.9, device="host")
    digest = push(model, store, Reference(store.host, name), reporter=SILENT).digest
    pull(store, Reference(store.host, name), tmp_path / "b", cache=cache, reporter=SILENT)
    assert pack(tmp_path / "b", name, gather(tmp_path / "b")).model.digest == digest


def test_who_is_handed_in_hears_of_every_byte_that_moves(
    store: ArtifactStore, name: str, tmp_path: Path, cache: BlobCache
) -> None:
    model, heard = packed(tmp_path / "a", name, os.urandom(100_000)), Recorder()
    push(model, store, Reference(store.host, name), reporter=heard)
    pull(store, Reference(store.host, name), tmp_path / "b", cache=cache, reporter=heard)
    assert [piece.title.split()[0] for piece in heard.pieces] == ["pushing", "pulling"]
    for piece in heard.pieces:
        assert piece.unit == "bytes"
        assert piece.ended
        assert piece.done == piece.total
        assert piece.done >= 100_000


def test_versions_count_from_one_and_aliases_follow_the_push(store: ArtifactStore, name: str, tmp_path: Path) -> None:
    first = pushed(store, tmp_path / "1", f"{name}:canary", b"1")
    second = pushed(store, tmp_path / "2", f"{name}:canary", b"2")
    assert (store.resolve(name, "v1"), store.resolve(name, "v2")) == (first, second)
    assert store.resolve(name, "canary") == second
    assert resolve(store, Reference(store.host, name)) == second
    assert store.resolve(name, "v3") is None


def test_pushing_what_is_there_writes_no_second_version(store: ArtifactStore, name: str, tmp_path: Path) -> None:
    model = packed(tmp_path / "a", name)
    reference = Reference(store.host, name, "canary")
    assert push(model, store, reference, reporter=SILENT).new
    again = push(model, store, reference, reporter=SILENT)
    assert not again.new
    assert [version.version for version in list_versions(store, name)] == ["v1"]


def test_a_version_is_not_an_alias(store: ArtifactStore, name: str, tmp_path: Path) -> None:
    digest = pushed(store, tmp_path / "1", name)
    with pytest.raises(InvalidReference, match="written once"):
        move(store, name, "v7", digest)
    with pytest.raises(InvalidReference, match="written once"):
        remove(store, name, "v1")
    with pytest.raises(InvalidReference):
        move(store, name, "_moved.x.000001", digest)


def test_moves_are_recorded_each_naming_the_one_before(store: ArtifactStore, name: str, tmp_path: Path) -> None:
    digests = [pushed(store, tmp_path / str(n), name, str(n).encode()) for n in range(3)]
    moves = [move(store, name, "champion", digest) for digest in digests]
    assert move(store, name, "champion", digests[-1]) is None
    told = history(store, name, "champion")
    assert told == moves
    assert [(step.before, step.after) for step in told] == list(zip(["", *digests[:-1]], digests, strict=True))
    assert [step.predecessor for step in told] == ["", told[0].digest, told[1].digest]
    assert problems(told) == []
    assert "@" in told[0].by
    assert told[0].at.endswith("Z")


def test_a_move_without_a_record_shows_in_the_history(store: ArtifactStore, name: str, tmp_path: Path) -> None:
    first, second = (pushed(store, tmp_path / str(n), name, str(n).encode()) for n in range(2))
    move(store, name, "champion", first)
    store.write(name, [], {"champion": second})
    move(store, name, "champion", first)
    assert any("without a record" in problem for problem in problems(history(store, name, "champion")))


def test_a_move_with_an_expectation_is_compare_and_swap_or_unsupported(
    store: ArtifactStore, name: str, tmp_path: Path
) -> None:
    first, second = (pushed(store, tmp_path / str(n), name, str(n).encode()) for n in range(2))
    if not store.compares:
        with pytest.raises(Unsupported, match="coordinator"):
            move(store, name, "champion", first, expect=None)
        return
    move(store, name, "champion", first, expect=None)
    with pytest.raises(Conflict, match="not to nothing"):
        move(store, name, "champion", second, expect=None)
    with pytest.raises(Conflict):
        move(store, name, "champion", second, expect=second)
    move(store, name, "champion", second, expect=first)
    assert store.resolve(name, "champion") == second


def test_a_coordinator_lets_any_store_compare_and_swap(store: ArtifactStore, name: str, tmp_path: Path) -> None:
    first, second = (pushed(store, tmp_path / str(n), name, str(n).encode()) for n in range(2))
    turns = tmp_path / "turns"
    move(store, name, "champion", first, expect=None, coordinator=turns)
    with pytest.raises(Conflict):
        move(store, name, "champion", second, expect=None, coordinator=turns)
    move(store, name, "champion", second, expect=first, coordinator=turns)
    assert store.resolve(name, "champion") == second


def test_of_moves_that_cross_none_is_lost_in_silence(store: ArtifactStore, name: str, tmp_path: Path) -> None:
    digests = [pushed(store, tmp_path / str(n), name, str(n).encode()) for n in range(4)]
    failed: list[LykeionError] = []

    def go(digest: str) -> None:
        try:
            move(store, name, "champion", digest)
        except Conflict as error:
            failed.append(error)

    threads = [threading.Thread(target=go, args=(digest,)) for digest in digests]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told = history(store, name, "champion")
    assert {step.after for step in told} == set(digests)  # every move left its record
    assert store.resolve(name, "champion") in digests
    if store.compares:
        assert not failed
        assert problems(told) == []
    assert bool(failed) or not any("crossed" in problem for problem in problems(told))


def test_versions_that_are_written_at_once_are_different_ones(
    store: ArtifactStore, name: str, tmp_path: Path
) -> None:
    models = [packed(tmp_path / str(n), name, str(n).encode()) for n in range(4)]
    for model in models:
        for blob in model.model.manifest.blobs:
            store.put(name, blob, model.sources[blob.digest], IGNORE)
    written: list[str] = []
    threads = [
        threading.Thread(target=lambda data=model.model.data: written.append(write_version(store, name, data)))
        for model in models
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(written)) == 4
    assert {store.resolve(name, version) for version in written} == {model.model.digest for model in models}


def test_what_is_not_there_is_not_found(store: ArtifactStore, name: str, tmp_path: Path, cache: BlobCache) -> None:
    nothing = "sha256:" + "0" * 64
    assert store.tags(name) == []
    assert store.resolve(name, "v1") is None
    assert not store.holds(name, nothing)
    assert not store.has(name, nothing)
    for reference in (Reference(store.host, name), Reference(store.host, name, "canary")):
        with pytest.raises(NotFound):
            pull(store, reference, tmp_path / "out", cache=cache, reporter=SILENT)
    with pytest.raises(NotFound):
        store.manifest(name, nothing)
    blob = Descriptor("application/octet-stream", nothing, 3)
    with pytest.raises(NotFound):
        store.read(name, blob)
    with pytest.raises(NotFound):
        store.fetch(name, blob, tmp_path / "blob", IGNORE)
    pushed(store, tmp_path / "1", f"{name}:canary")
    with pytest.raises(NotFound, match="canary"):
        resolve(store, Reference(store.host, name, "canari"))
    with pytest.raises(NotFound):
        move(store, name, "champion", nothing)
    assert not (tmp_path / "out").exists()


def test_content_that_is_not_what_it_says_is_refused(store: ArtifactStore, name: str, tmp_path: Path) -> None:
    blob = Descriptor("application/octet-stream", digest_bytes(b"right"), 5)
    with pytest.raises(ContentDamaged):
        store.put(name, blob, b"wrong", IGNORE)
    assert not store.has(name, blob.digest)


def test_untag_takes_the_alias_and_leaves_the_version(store: ArtifactStore, name: str, tmp_path: Path) -> None:
    digest = pushed(store, tmp_path / "1", f"{name}:canary")
    with pytest.raises((NotFound, Unsupported)):
        remove(store, name, "champion")
    try:
        remove(store, name, "canary")
    except Unsupported:
        assert store.resolve(name, "canary") == digest
        return
    assert store.resolve(name, "canary") is None
    assert store.resolve(name, "v1") == digest
    assert history(store, name, "canary")[-1].after == ""


def test_delete_takes_every_tag_along_and_the_number_is_not_used_again(
    store: ArtifactStore, name: str, tmp_path: Path
) -> None:
    first = pushed(store, tmp_path / "1", f"{name}:canary", b"1")
    second = pushed(store, tmp_path / "2", f"{name}:champion", b"2")
    assert tags_at(store, name)[second] == ["v2", "champion"]
    store.delete(name, second)
    assert not store.holds(name, second)
    assert tags_at(store, name) == {first: ["v1", "canary"]}
    with pytest.raises(NotFound):
        store.delete(name, second)
    pushed(store, tmp_path / "3", name, b"3")
    assert store.resolve(name, "v2") is None
    assert store.resolve(name, "v3") is not None


def test_a_list_tells_versions_aliases_and_metrics(store: ArtifactStore, name: str, tmp_path: Path) -> None:
    pushed(store, tmp_path / "1", f"{name}:canary", b"1", ModelFacts({"top1": 0.5, "device": "host", "exact": True}))
    pushed(store, tmp_path / "2", name, b"2")
    newest, oldest = list_versions(store, name)
    assert (newest.version, newest.aliases, dict(newest.metrics)) == ("v2", (), {})
    assert (oldest.version, oldest.aliases) == ("v1", ("canary",))
    assert dict(oldest.metrics) == {"top1": 0.5, "device": "host", "exact": True}
    assert oldest.size_bytes == 1 + len(b"# A model\n")


def test_show_and_diff_tell_what_differs(store: ArtifactStore, name: str, tmp_path: Path) -> None:
    pushed(store, tmp_path / "1", f"{name}:canary", b"1", ModelFacts({"top1": 0.5}, Lineage(code="a" * 7)))
    pushed(store, tmp_path / "2", name, b"22", ModelFacts({"top1": 0.75}, Lineage(code="a" * 7)))
    first, second = (Reference(store.host, name, version) for version in ("v1", "v2"))
    shown = show(store, first)
    assert shown.files == {"README.md": 10, "model.tflite": 1}
    assert shown.config["config"]["format"] == "tflite"
    assert (shown.facts.lineage.code, shown.signatures) == ("a" * 7, 0)
    assert [step.alias for step in shown.moves] == ["canary"]
    difference = compare((store, first), (store, second))
    assert difference.files == {"model.tflite": (1, 2)}
    assert difference.same_files == 1
    assert difference.facts == {"top1": (0.5, 0.75)}


def test_lineage_goes_back_to_where_records_end(store: ArtifactStore, name: str, tmp_path: Path) -> None:
    first = pushed(store, tmp_path / "1", name, b"1")
    parents = (f"{name}@{first}", f"other@sha256:{'1' * 64}")
    second = pushed(store, tmp_path / "2", name, b"2", ModelFacts({}, Lineage(run="r2", parents=parents)))
    facts = ModelFacts({}, Lineage(parents=(f"{name}@{second}",)))
    pushed(store, tmp_path / "3", f"{name}:champion", b"3", facts)
    found = lineage(lambda _host: store, Reference(store.host, name, "champion"))
    assert (found.version, found.found) == ("v3", True)
    (parent,) = found.parents
    assert (parent.version, parent.facts.lineage.run) == ("v2", "r2")
    assert [(each.version, each.found) for each in parent.parents] == [("v1", True), (None, False)]


def test_lineage_asks_only_registries_that_were_named_and_goes_on_where_one_is_down(
    store: ArtifactStore, name: str, tmp_path: Path
) -> None:
    here = pushed(store, tmp_path / "1", name, b"1")
    parents = (f"other.example/shoes@sha256:{'1' * 64}", f"down.example/shoes@sha256:{'2' * 64}", f"{name}@{here}")
    pushed(store, tmp_path / "2", f"{name}:champion", b"2", ModelFacts({}, Lineage(parents=parents)))

    def open_store(host: str | None) -> ArtifactStore:
        if host == "down.example":
            raise StoreError("down.example: no route")
        assert host == store.host
        return store

    found = lineage(open_store, Reference(store.host, name, "champion"), hosts=["down.example"])
    assert [(each.found, each.problem) for each in found.parents] == [
        (False, "other.example was not queried"),
        (False, "down.example: no route"),
        (True, ""),
    ]


def test_what_is_attached_is_found_and_none_is_lost_to_another(
    store: ArtifactStore, name: str, tmp_path: Path
) -> None:
    pushed(store, tmp_path / "1", name)
    reference = Reference(store.host, name, "v1")
    keys = [key_pair(tmp_path / f"key{n}")[0] for n in range(4)]
    threads = [threading.Thread(target=sign, args=(store, reference, key)) for key in keys]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert show(store, reference).signatures == 4
    assert store.referrers(name, load(store, reference).digest, "application/x") == []


def test_verify_finds_nothing_wrong_with_what_was_pushed(store: ArtifactStore, name: str, tmp_path: Path) -> None:
    pushed(store, tmp_path / "1", name, os.urandom(10_000), ModelFacts({"top1": 0.5}))
    assert verify(store, Reference(store.host, name), reporter=SILENT) == []


def test_a_copy_under_another_name_keeps_digest_and_signatures(
    store: ArtifactStore, name: str, tmp_path: Path, cache: BlobCache
) -> None:
    digest = pushed(store, tmp_path / "1", f"{name}:canary", os.urandom(10_000))
    here, there = Reference(store.host, name, "canary"), Reference(store.host, f"{name}-copy", "champion")
    sign(store, here, key_pair(tmp_path / "key")[0])
    copied = copy((store, here), (store, there), cache=cache, reporter=SILENT)
    assert (copied.digest, copied.version) == (digest, "v1")
    assert show(store, there).signatures == 1
    assert verify(store, there, reporter=SILENT) == []


def test_a_large_file_goes_in_chunks(
    store: ArtifactStore, name: str, tmp_path: Path, cache: BlobCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lykeion.oci.distribution.upload.CHUNK", 2**18)
    monkeypatch.setattr("lykeion.oci.distribution.upload.AT_ONCE", 2**16)
    content = os.urandom(2**20 + 17)
    digest = pushed(store, tmp_path / "1", name, content)
    pull(store, Reference(store.host, name, digest=digest), tmp_path / "out", cache=cache, reporter=SILENT)
    assert (tmp_path / "out" / "model.tflite").read_bytes() == content
