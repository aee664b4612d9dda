"""USearch, float16 (its quickest type here that loses no recall)."""
# pyright: reportMissingImports=false

from pathlib import Path
from typing import Any

import numpy as np
from measuring.vector_sets import VectorSet
from usearch.index import Index

from .protocol import Search, Setting, Unfiltered


class USearch(Unfiltered):
    about = "connectivity 16, expansion_add 200, f16"
    settings = tuple({"ef": ef} for ef in (10, 12, 16, 20, 24, 32, 40, 48, 64, 96, 128, 256, 512))

    def build(self, data: VectorSet, directory: Path) -> None:
        index = Index(ndim=data.dimension, metric="l2sq", dtype="f16", connectivity=16, expansion_add=200)
        index.add(np.arange(len(data.rows)), data.rows.astype(np.float32))
        directory.mkdir(parents=True)
        index.save(directory / "index.usearch")

    def open(self, data: VectorSet, directory: Path) -> None:
        index = Index.restore(directory / "index.usearch")
        assert index is not None
        self._index = index

    def prepare(self, query: np.ndarray) -> np.ndarray:
        return query

    def search(self, setting: Setting, k: int) -> Search:
        self._index.expansion_search = setting["ef"]
        search = self._index.search

        def one(query: np.ndarray, _: None) -> Any:
            return search(query, k, threads=1)

        return one

    def ids(self, answer: Any) -> list[int]:
        return answer.keys.tolist()
