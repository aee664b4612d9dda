"""VSAG: its HGraph searched over 8-bit codes, reordered by float32 vectors."""
# pyright: reportMissingImports=false

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyvsag
from measuring.vector_sets import VectorSet

from .protocol import Search, Setting, Unfiltered


class VSAG(Unfiltered):
    about = "HGraph, max_degree 32, ef_construction 200, sq8_uniform reordered by fp32"
    settings = tuple({"ef": ef} for ef in (10, 12, 16, 20, 24, 32, 40, 48, 64, 96, 128, 256, 512))

    def build(self, data: VectorSet, directory: Path) -> None:
        rows = len(data.rows)
        index = self._new(data)
        index.build(data.rows.astype(np.float32).reshape(-1), np.arange(rows), rows, data.dimension)
        directory.mkdir(parents=True)
        index.save(str(directory / "index.vsag"))

    def _new(self, data: VectorSet) -> Any:
        parameters = {
            "dtype": "float32",
            "metric_type": "l2",
            "dim": data.dimension,
            "index_param": {
                "base_quantization_type": "sq8_uniform",
                "max_degree": 32,
                "ef_construction": 200,
                "use_reorder": True,
                "precise_quantization_type": "fp32",
                "build_thread_count": 2,
            },
        }
        return pyvsag.Index("hgraph", json.dumps(parameters))

    def open(self, data: VectorSet, directory: Path) -> None:
        self._index = self._new(data)
        self._index.load(str(directory / "index.vsag"))

    def prepare(self, query: np.ndarray) -> np.ndarray:
        return query

    def search(self, setting: Setting, k: int) -> Search:
        parameters = json.dumps({"hgraph": {"ef_search": setting["ef"]}})
        search = self._index.knn_search

        def one(query: np.ndarray, _: None) -> Any:
            return search(query, k, parameters)

        return one

    def ids(self, answer: Any) -> list[int]:
        first, second = (np.asarray(part).reshape(-1) for part in answer)
        return (first if first.dtype == np.int64 else second).tolist()
