"""Keeping an index well, by the functions behind the commands."""

from pathlib import Path

import numpy as np
import pytest

from lykeion import search
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
