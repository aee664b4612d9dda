"""An index as an archive or the registry gives it back: all files, but no directory that was empty."""

from pathlib import Path

import numpy as np
import pytest

from lykeion.search import merge
from lykeion.search.index import open_index
from tests.mounts import read_only

ONE = np.eye(1, 4, dtype=np.float32)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    place = tmp_path / "shop.index"
    with open_index(place, "w", dimension=4) as index:
        index.upsert(["a"], ONE, [{"n": 1}])
    for path in sorted(place.rglob("*"), reverse=True):
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()
    assert not (place / "segments").exists()
    assert not (place / "overlays").exists()
    return place


def test_it_is_read(place: Path) -> None:
    with open_index(place) as index:
        assert index.count() == 1
        assert index.search(ONE, 1)[0][0].id == "a"
        assert index.stats().details["snapshots"] == []
        assert index.verify() == []


def test_it_is_written_compacted_kept_and_exported(place: Path, tmp_path: Path) -> None:
    with open_index(place, "w") as index:
        index.upsert(["b"], ONE)
        index.compact(full=True)
        index.update(["a"], [{"n": 2}])
        index.delete(["b"])
        index.snapshot("s")
        index.compact()
        index.export(tmp_path / "copy.index")
        index.restore("s")
        assert index.verify() == []
        assert index.get(["a", "b"])[0].attributes == {"n": 2}
    with open_index(tmp_path / "copy.index") as copy:
        assert copy.count() == 1


def test_it_is_merged_from_and_into(place: Path, tmp_path: Path) -> None:
    with open_index(tmp_path / "other.index", "w", dimension=4) as other:
        other.upsert(["c"], ONE)
    assert merge(tmp_path / "all.index", [place, tmp_path / "other.index"]) == 2
    assert merge(place, [tmp_path / "other.index"]) == 2


def test_it_is_merged_from_where_nothing_can_be_written(place: Path, tmp_path: Path) -> None:
    """As a program in a cluster is given its inputs; a part of the rows is still in the log."""
    with open_index(place, "w") as index:
        index.compact(full=True)
        index.upsert(["b"], ONE)
    before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    (tmp_path / "out").mkdir()
    with read_only(place):
        assert merge(tmp_path / "out" / "all.index", [place]) == 2
    assert {path: path.read_bytes() for path in place.rglob("*") if path.is_file()} == before
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["all.index"]
