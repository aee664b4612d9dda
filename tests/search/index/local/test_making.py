"""An index that is made: with what was asked for, or not at all."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lykeion.core import Conflict
from lykeion.search.index import Mode, open_index

VECTORS = np.eye(4, dtype=np.float32)


class Failed(Exception):
    pass


def make(path: Path, *ids: str, mode: Mode = "w", beside: str = "") -> None:
    """Make an index, write to it and a file beside, and fail."""
    with open_index(path, mode, dimension=4) as index:
        for id in ids:
            index.upsert([id], VECTORS[:1])
        if beside:
            (path / beside).touch()
        raise Failed


@pytest.mark.parametrize("mode", ["w", "shared"])
def test_one_that_was_made_for_what_failed_is_gone(tmp_path: Path, mode: Mode) -> None:
    with pytest.raises(Failed):
        make(tmp_path / "a" / "index", mode=mode, beside="thumbnails.sqlite")
    assert not (tmp_path / "a" / "index").exists()


def test_files_of_others_in_its_directory_stay(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("keep")
    with pytest.raises(Failed):
        make(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_one_that_was_written_to_or_was_there_stays(tmp_path: Path) -> None:
    with pytest.raises(Failed):
        make(tmp_path / "written", "a")
    open_index(tmp_path / "there", "w", dimension=4).close()
    with pytest.raises(Failed):
        make(tmp_path / "there")
    for name, count in (("written", 1), ("there", 0)):
        with open_index(tmp_path / name) as index:
            assert index.count() == count


def test_one_that_ends_well_stays_though_it_is_empty(tmp_path: Path) -> None:
    with open_index(tmp_path / "index", "w", dimension=4):
        pass
    with open_index(tmp_path / "index") as index:
        assert index.count() == 0


@pytest.mark.parametrize(
    ("name", "held", "wanted"),
    [("dtype", "float16", "float32"), ("kernel", "hnsw", "exact"), ("compaction", "size", "time")],
)
def test_options_that_it_was_not_made_with_are_refused(tmp_path: Path, name: str, held: str, wanted: str) -> None:
    path = tmp_path / "index"
    other: dict[str, Any] = {name: wanted}
    made: list[dict[str, Any]] = [{name: held}, {name: held}, {}]
    for options in made:
        open_index(path, "w", dimension=4, **options).close()
    with pytest.raises(Conflict, match=rf"index was made with {name} {held}, not {wanted}; .*leave it out") as error:
        open_index(path, "w", dimension=4, **other)
    assert "\n" not in str(error.value)
    open_index(path, "w").close()  # and its lock is free
