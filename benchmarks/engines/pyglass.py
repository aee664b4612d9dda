"""pyglass: HNSW searched over 8-bit codes, refined by float32 vectors. A file has its vectors."""
# pyright: reportMissingImports=false

from pathlib import Path
from typing import Any

import glass
import numpy as np
from measuring.vector_sets import VectorSet

from .protocol import Search, Setting, Unfiltered


class Pyglass32(Unfiltered):
    about = "M 32, L 200, SQ8U refined by FP32, optimized"
    degree = 32
    settings = tuple({"ef": ef} for ef in (10, 12, 16, 20, 24, 32, 40, 48, 64, 96, 128, 256, 512))

    def build(self, data: VectorSet, directory: Path) -> None:
        vectors = data.rows.astype(np.float32)
        graph = glass.Index("HNSW", metric="L2", quant="SQ8U", R=self.degree, L=200).build(vectors)
        directory.mkdir(parents=True)
        graph.save(str(directory / "graph.glass"))
        np.save(directory / "vectors.npy", vectors)

    def open(self, data: VectorSet, directory: Path) -> None:
        graph = glass.Graph(str(directory / "graph.glass"))
        vectors = np.load(directory / "vectors.npy")
        self._searcher = glass.Searcher(graph, vectors, "L2", "SQ8U", "FP32")
        self._searcher.optimize(1)

    def prepare(self, query: np.ndarray) -> np.ndarray:
        return query

    def search(self, setting: Setting, k: int) -> Search:
        self._searcher.set_ef(setting["ef"])
        search = self._searcher.search

        def one(query: np.ndarray, _: None) -> Any:
            return search(query, k)

        return one

    def ids(self, answer: Any) -> list[int]:
        ids = answer[0] if isinstance(answer, tuple) else answer
        return np.asarray(ids).reshape(-1).tolist()


class Pyglass16(Pyglass32):
    about = "M 16, L 200, SQ8U refined by FP32, optimized"
    degree = 16
