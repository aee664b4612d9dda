"""Flipped, torn and missing bytes in any file of an index: never a wrong answer in silence, never a crash."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from lykeion.core import LykeionError, digest_file, digest_json
from lykeion.search.index import CorruptIndex, IndexFormatError, restore_damaged
from lykeion.search.index.segment.kernel_file import KERNEL_FORMAT

from .indexes import clustered, open_local

DIMENSION = 20
VECTORS, _ = clustered(300, DIMENSION)
IDS = [f"p{n}" for n in range(300)]


@pytest.fixture(scope="module", params=["hnsw", "ivf"])
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index with a segment and its kernel, overlays, a snapshot and a log."""
    path = tmp_path_factory.mktemp("whole") / "index"
    with open_local(path, dimension=DIMENSION, kernel=request.param, background=False) as index:
        index.upsert(IDS, VECTORS, [{"n": n, "name": f"name {n}"} for n in range(300)])
        index.compact()
        index.delete(["p7"])
        index.update(["p8"], [{"name": "changed"}])
        index.snapshot("kept")
        index.upsert(["late"], VECTORS[:1] + 1, [{"n": 1000}])
    return path


@pytest.fixture
def path(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "index"))


def _answers(path: Path) -> list[object]:
    with open_local(path, "r") as index:
        return [
            index.search(VECTORS[:20], 5),
            index.search(VECTORS[:5], 5, where="n >= 100"),
            index.get(["p1", "p7", "p8", "late"]),
            index.count(),
        ]


def _files(path: Path, pattern: str) -> list[Path]:
    found = sorted(file for file in path.glob(pattern) if file.is_file())
    assert found, pattern
    return found


def _places(size: int) -> Iterator[int]:
    """Positions over all of a file."""
    yield from sorted({*range(0, size, max(1, size // 25)), size - 1})


@pytest.mark.slow
@pytest.mark.parametrize(
    "pattern",
    [
        "CURRENT",
        "index.json",
        "manifests/*.json",
        "snapshots/*.json",
        "overlays/*",
        "segments/*/*",
        "segments/*/kernel/*",
    ],
)
def test_a_flipped_byte_is_found_by_opening_or_by_verify_which_names_the_file(path: Path, pattern: str) -> None:
    for file in _files(path, pattern):
        data = file.read_bytes()
        for at in _places(len(data)):
            file.write_bytes(data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :])
            named = {file.name, "CURRENT", "kernel" if "kernel" in file.parts else "manifests"}
            try:
                with open_local(path, "r") as index:
                    problems = index.verify()
            except LykeionError as error:
                problems = [str(error)]
            if file.name == "CURRENT" and data[at : at + 1].isspace():
                continue
            assert problems, f"{file.name} at {at}"
            assert "\n" not in "".join(problems)
            assert any(name in problem for name in named for problem in problems), problems
        file.write_bytes(data)
    with open_local(path, "r") as index:
        assert index.verify() == []


def test_a_file_cut_short_is_an_error_that_names_it(path: Path) -> None:
    for file in _files(path, "segments/*/*"):
        data = file.read_bytes()
        for length in (0, len(data) // 2, len(data) - 1):
            file.write_bytes(data[:length])
            with pytest.raises(CorruptIndex, match=file.name):
                open_local(path, "r")
        file.write_bytes(data)


def test_a_missing_segment_is_an_error_that_says_how_to_go_back(path: Path) -> None:
    shutil.rmtree(_files(path, "segments/*/segment.json")[0].parent)
    with pytest.raises(CorruptIndex, match=r"segments/\w+/segment\.json is missing; .*restore"):
        open_local(path, "r")


def test_without_a_kernel_the_answers_are_the_same(path: Path) -> None:
    before = _answers(path)
    for kernel in path.glob("segments/*/kernel"):
        shutil.rmtree(kernel)
    assert _ids(_answers(path)) == _ids(before)
    with open_local(path, "r") as index:
        assert index.verify() == []


def test_a_kernel_of_another_version_is_not_used(path: Path) -> None:
    before = _answers(path)
    (file,) = _files(path, "segments/*/kernel/kernel.json")
    description = json.loads(file.read_bytes()) | {"format": KERNEL_FORMAT + 1}
    del description["sha256"]
    file.write_text(json.dumps(description | {"sha256": digest_json(description)}))
    assert _ids(_answers(path)) == _ids(before)
    with open_local(path, "r") as index:
        assert index.stats().details["segments"][0]["kernel"] == "exact"  # pyright: ignore
        assert any("kernel" in problem and "rebuild" in problem for problem in index.verify())


@pytest.mark.parametrize("damage", ["missing", "flipped", "cut", "another version"])
def test_rebuild_makes_a_kernel_whole_again(path: Path, damage: str) -> None:
    before = _answers(path)
    (codes,), (description,) = (
        _files(path, "segments/*/kernel/codes.bin"),
        _files(path, "segments/*/kernel/kernel.json"),
    )
    data = codes.read_bytes()
    match damage:
        case "missing":
            shutil.rmtree(codes.parent)
        case "flipped":
            codes.write_bytes(bytes([data[0] ^ 1]) + data[1:])
        case "cut":
            codes.write_bytes(data[:-1])
        case _:
            description.write_text(description.read_text().replace('"format": 1', '"format": 9'))
    with open_local(path, background=False) as index:
        kind = index.identity.kernel
        index.rebuild()
        assert index.stats().details["segments"][0]["kernel"] == kind  # pyright: ignore
        index.compact()
        assert index.verify() == []
    assert _ids(_answers(path)) == _ids(before)


def test_compaction_ends_where_a_kernel_is_damaged(path: Path) -> None:
    for kernel in path.glob("segments/*/kernel"):
        shutil.rmtree(kernel)
    with open_local(path, background=False) as index:
        index.compact()
        assert index.verify() == []


def test_damaged_kernel_arrays_never_reach_beyond_memory(path: Path) -> None:
    """Sizes and offsets are checked on opening, links as they are followed: answers may be worse, nothing more."""
    generator = np.random.default_rng(0)
    for file in _files(path, "segments/*/kernel/*.bin"):
        data = file.read_bytes()
        for noise in (generator.bytes(len(data)), b"\xff" * len(data), b"\0" * len(data), b"\x7f" * len(data)):
            file.write_bytes(noise)
            with open_local(path, "r") as index:
                for query in VECTORS[:20]:
                    for where in (None, "n < 150"):
                        (hits,) = index.search(query[None], 5, where=where)
                        assert len({hit.id for hit in hits}) == len(hits)
        file.write_bytes(data)


@pytest.mark.parametrize("pattern", ["log/*.log", "CURRENT", "manifests/*.json", "segments/*/vectors.bin"])
def test_an_index_too_damaged_to_open_returns_to_a_snapshot(path: Path, pattern: str) -> None:
    with open_local(path, background=False) as index:
        for n in range(3):
            index.upsert([f"more {n}"], VECTORS[:1])
        index.upsert([f"bulk {n}" for n in range(300)], VECTORS)
        if "segments" in pattern:
            index.compact(full=True)
    if "segments" in pattern:  # damage those that the snapshot does not need
        kept = json.loads((path / "snapshots" / "kept.json").read_bytes())["segments"][0]["digest"]
        files = [file for file in _files(path, pattern) if file.parent.name != kept]
        for file in files:
            file.write_bytes(file.read_bytes()[:-1])
    else:
        for file in _files(path, pattern):
            data = bytearray(file.read_bytes())
            data[len(data) // 3] ^= 0x20
            file.write_bytes(data)
    if pattern != "log/*.log":
        with pytest.raises(CorruptIndex):
            open_local(path, "r")
    restore_damaged(path, "kept")
    with open_local(path, background=False) as index:
        assert index.count() == 299
        index.upsert(["again"], VECTORS[:1])
        index.compact()
        assert index.verify() == []
        assert index.count() == 300


@pytest.mark.parametrize("file", ["index.json", "manifest", "segment.json", "log"])
def test_a_newer_format_is_refused_in_one_line(path: Path, file: str) -> None:
    match file:
        case "index.json":
            _make_newer(path / "index.json")
        case "manifest":
            name = (path / "CURRENT").read_text().split()[0]
            _make_newer(path / "manifests" / name)
            (path / "CURRENT").write_text(f"{name} {digest_file(path / 'manifests' / name)}\n")
        case "segment.json":
            _make_newer(_files(path, "segments/*/segment.json")[0])
        case _:
            log = _files(path, "log/*.log")[-1]
            data = bytearray(log.read_bytes())
            data[4] = 2
            log.write_bytes(data)
    with pytest.raises(IndexFormatError, match="newer than this lykeion; update it") as error:
        open_local(path, "r")
    assert "\n" not in str(error.value)


def _make_newer(file: Path) -> None:
    value = json.loads(file.read_bytes()) | {"format": 2, "surprise": 1}
    file.write_text(json.dumps(value))


def test_something_else_is_not_an_index(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    for path in (tmp_path, tmp_path / "notes.txt", tmp_path / "missing"):
        with pytest.raises(IndexFormatError, match="is not an index"):
            open_local(path, "r")


def _ids(answers: list[object]) -> list[object]:
    first, second, *rest = answers
    return [[[hit.id for hit in hits] for hits in first], [[hit.id for hit in hits] for hits in second], *rest]  # pyright: ignore
