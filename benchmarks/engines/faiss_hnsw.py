"""Faiss: HNSW over float32 vectors and over 8-bit codes (all values are whole numbers to 255: these are exact)."""

from pathlib import Path
from typing import Any

import faiss
import numpy as np
from measuring.vector_sets import VectorSet

from .protocol import Search, Setting, Unfiltered


class FaissFlat(Unfiltered):
    about = "M 16, efConstruction 200"
    settings = tuple({"ef": ef} for ef in (10, 12, 16, 20, 24, 32, 40, 48, 64, 96, 128, 256, 512))

    def build(self, data: VectorSet, directory: Path) -> None:
        vectors = data.rows.astype(np.float32)
        index = self._new(data)
        index.hnsw.efConstruction = 200
        index.train(vectors)
        index.add(vectors)
        directory.mkdir(parents=True)
        faiss.write_index(index, str(directory / "index.faiss"))

    def _new(self, data: VectorSet) -> Any:
        return faiss.IndexHNSWFlat(data.dimension, 16)

    def open(self, data: VectorSet, directory: Path) -> None:
        self._index: Any = faiss.read_index(str(directory / "index.faiss"))

    def prepare(self, query: np.ndarray) -> Any:
        return query, faiss.swig_ptr(query)

    def search(self, setting: Setting, k: int) -> Search:
        """The wrapped C++ method on arrays made once: a third less a call than ``index.search``."""
        self._index.hnsw.efSearch = setting["ef"]
        distances, labels = np.empty((1, k), np.float32), np.empty((1, k), np.int64)
        to, into, search = faiss.swig_ptr(distances), faiss.swig_ptr(labels), self._index.search_c

        def one(query: Any, _: None) -> tuple[list[int], list[float]]:
            search(1, query[1], k, to, into)
            return labels[0].tolist(), distances[0].tolist()

        return one

    def ids(self, answer: tuple[list[int], list[float]]) -> list[int]:
        return answer[0]


class FaissSQ8(FaissFlat):
    about = "M 16, efConstruction 200, QT_8bit_direct (QT_8bit where values are no bytes)"

    def _new(self, data: VectorSet) -> Any:
        kind = "QT_8bit_direct" if data.rows.dtype == np.uint8 else "QT_8bit"
        return faiss.IndexHNSWSQ(data.dimension, getattr(faiss.ScalarQuantizer, kind), 16)  # pyright: ignore
