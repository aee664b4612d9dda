"""The backends that the behaviour suite runs on, each as a place where an index can be made and opened again."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lykeion.search.index import open_index
from lykeion.search.index.protocol import Index, Metric, Mode

_numbers = itertools.count()


@dataclass(frozen=True)
class Place:
    """An index's address. ``keeps_snapshots`` says whether the backend has them."""

    uri: str
    keeps_snapshots: bool

    def open(
        self,
        mode: Mode = "w",
        *,
        dimension: int | None = 4,
        metric: Metric = "cosine",
        **options: Any,
    ) -> Index:
        return open_index(self.uri, mode, dimension=dimension, metric=metric, **options)


def local(directory: Path) -> Place:
    return Place(str(directory / f"{next(_numbers)}.index"), keeps_snapshots=True)


def milvus_lite(directory: Path) -> Place:
    """A new collection in one file for each directory."""
    return Place(f"milvus://{directory}/lite.db/c{next(_numbers)}", keeps_snapshots=False)


BACKENDS: dict[str, Callable[[Path], Place]] = {"local": local, "milvus": milvus_lite}
EACH = ["local", pytest.param("milvus", marks=pytest.mark.slow)]
