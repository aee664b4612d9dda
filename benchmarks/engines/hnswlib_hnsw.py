"""hnswlib, float32."""
# pyright: reportMissingImports=false

from pathlib import Path
from typing import Any

import hnswlib
import numpy as np
from measuring.vector_sets import VectorSet

from .protocol import Search, Setting, Unfiltered


class HnswlibHNSW(Unfiltered):
    about = "M 16, ef_construction 200"
    settings = tuple({"ef": ef} for ef in (10, 12, 16, 20, 24, 32, 40, 48, 64, 96, 128, 256, 512))

    def build(self, data: VectorSet, directory: Path) -> None:
        index = hnswlib.Index("l2", data.dimension)
        index.init_index(len(data.rows), ef_construction=200, M=16)
        index.add_items(data.rows.astype(np.float32))
        directory.mkdir(parents=True)
        index.save_index(str(directory / "index.hnswlib"))

    def open(self, data: VectorSet, directory: Path) -> None:
        self._index = hnswlib.Index("l2", data.dimension)
        self._index.load_index(str(directory / "index.hnswlib"))

    def prepare(self, query: np.ndarray) -> np.ndarray:
        return query

    def search(self, setting: Setting, k: int) -> Search:
        self._index.set_ef(setting["ef"])
        query_one = self._index.knn_query

        def one(query: np.ndarray, _: None) -> Any:
            return query_one(query, k, 1)

        return one

    def ids(self, answer: Any) -> list[int]:
        return answer[0][0].tolist()
