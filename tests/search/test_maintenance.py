"""Keeping an index well, by the functions behind the commands."""

from pathlib import Path

import numpy as np
import pytest

from lykeion import search
from lykeion.core import Invalid
from lykeion.search.index import CorruptIndex, open_index


def _index(path: Path) -> Path:
    with open_index(path, "w", dimension=4, background=False) as index:  # pyright: ignore
        index.upsert(["a", "b"], np.eye(4, dtype=np.float32)[:2])
    return path


def test_a_damaged_index_returns_to_a_snapshot(tmp_path: Path) -> None:
    path = _index(tmp_path / "shop.index")
    search.snapshot(path, "good")
    with open_index(path, "w", background=False) as index:  # pyright: ignore
        for n in range(3):
            index.upsert([f"late {n}"], np.ones((1, 4), np.float32))
    log = max((path / "log").iterdir())
    data = bytearray(log.read_bytes())
    data[40] ^= 1
    log.write_bytes(data)
    with pytest.raises(CorruptIndex, match="damaged"):
        search.stats(path)
    search.restore(path, "good")
    assert search.stats(path).products == 2
    assert search.verify(path) == []


def test_exports_without_a_name_keep_nothing_in_the_index(tmp_path: Path) -> None:
    path = _index(tmp_path / "shop.index")
    for night in range(3):
        with open_index(path, "w", background=False) as index:  # pyright: ignore
            index.upsert(["a", "b"], np.full((2, 4), night + 1, np.float32))
        assert search.snapshot(path, export=tmp_path / f"backup-{night}") is None
    stats = search.compact(path)
    assert stats.details["snapshots"] == []
    assert len(list((path / "segments").iterdir())) == 1
    assert search.stats(tmp_path / "backup-0").products == 2


def test_an_export_with_a_name_also_keeps_a_snapshot(tmp_path: Path) -> None:
    path = _index(tmp_path / "shop.index")
    assert search.snapshot(path, "monday", export=tmp_path / "backup") == "monday"
    assert search.stats(path).details["snapshots"] == ["monday"]
    assert search.stats(tmp_path / "backup").details["snapshots"] == []


def test_an_index_is_not_copied_to_itself_however_its_address_is_written(tmp_path: Path) -> None:
    path = _index(tmp_path / "shop.index")
    for source, to in (
        (path, tmp_path / "." / "none" / ".." / "shop.index"),
        ("milvus://none.invalid/shop", "milvus://none.invalid/shop?consistency=strong"),
    ):
        with pytest.raises(Invalid, match="at least one other"):
            search.copy(source, to)
