"""Zvec: an embedded store; HNSW over 8-bit codes, refined by its float32 vectors."""
# pyright: reportMissingImports=false

from pathlib import Path
from typing import Any

import numpy as np
import zvec
from measuring.vector_sets import VectorSet

from .protocol import Search, Setting, Unfiltered

_BATCH = 1_000


class Zvec(Unfiltered):
    about = "HNSW, m 16, ef_construction 200, float32"
    query_limit = 2_000
    settings = tuple({"ef": ef} for ef in (10, 16, 24, 32, 48, 64, 96, 128, 256, 512))

    def build(self, data: VectorSet, directory: Path) -> None:
        directory.parent.mkdir(parents=True, exist_ok=True)
        parameters = zvec.HnswIndexParam(metric_type=zvec.MetricType.L2, m=16, ef_construction=200)
        vector = zvec.VectorSchema("vector", zvec.DataType.VECTOR_FP32, data.dimension, index_param=parameters)
        collection = zvec.create_and_open(str(directory), zvec.CollectionSchema("ann", vectors=vector))
        vectors = data.rows.astype(np.float32)
        for start in range(0, len(vectors), _BATCH):
            part = enumerate(vectors[start : start + _BATCH], start)
            collection.insert([zvec.Doc(id=str(row), vectors={"vector": values.tolist()}) for row, values in part])
        collection.optimize()
        collection.flush()

    def open(self, data: VectorSet, directory: Path) -> None:
        self._collection = zvec.open(str(directory))

    def prepare(self, query: np.ndarray) -> list[float]:
        return query.tolist()

    def search(self, setting: Setting, k: int) -> Search:
        query, parameters = self._collection.query, zvec.HnswQueryParam(ef=setting["ef"])

        def one(vector: list[float], _: None) -> Any:
            return query(zvec.VectorQuery("vector", vector=vector, param=parameters), topk=k)

        return one

    def ids(self, answer: Any) -> list[int]:
        return [int(document.id) for document in answer]
