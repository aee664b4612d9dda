"""Our index: durable, with attributes, 1 % of its rows deleted since it was compacted, opened as ``serve`` does."""

from pathlib import Path
from typing import cast

import numpy as np
from measuring.vector_sets import Filter, VectorSet

from lykeion.search.index import Effort, Hit, LocalIndex, open_index

from .protocol import Search, Setting

_BATCH = 10_000


class Lykeion:
    about = "kernel as chosen by size, float16 vectors, 1 % of the rows deleted since"
    kernel = "auto"
    tail = 0
    query_limit = 10_000
    settings = tuple(
        {"ef": 64, "rerank": rerank, "scan": scan}
        for scan, rerank in (
            (2, 14),
            (3, 16),
            (4, 20),
            (6, 24),
            (8, 24),
            (9, 28),
            (10, 28),
            (10, 30),
            (11, 26),
            (11, 32),
            (12, 36),
            (14, 40),
            (16, 40),
            (24, 48),
            (32, 60),
            (64, 100),
            (128, 160),
            (256, 240),
        )
    )
    filtered = (
        {"ef": 64, "rerank": 40, "scan": 8},
        {"ef": 64, "rerank": 40, "scan": 16},
        {"ef": 96, "rerank": 60, "scan": 32},
    )

    def build(self, data: VectorSet, directory: Path) -> None:
        vectors = data.rows.astype(np.float32)
        attributes = [
            {"label": int(label), "bucket": int(bucket)}
            for label, bucket in zip(data.label, data.bucket, strict=True)
        ]
        ids = [str(row) for row in range(len(vectors))]
        options = {"dimension": data.dimension, "metric": data.metric, "kernel": self.kernel, "background": False}
        with cast(LocalIndex, open_index(directory, "w", **options)) as index:
            for start in range(0, len(ids), _BATCH):
                part = slice(start, start + _BATCH)
                index.upsert(ids[part], vectors[part], attributes[part])
            doomed = np.random.default_rng(1).integers(0, len(vectors), len(vectors) // 100)
            names = [f"deleted {n}" for n in range(len(doomed))]
            index.upsert(names, vectors[doomed], [attributes[row] for row in doomed])
            index.compact(full=True)
            index.delete(names)
            for row in range(self.tail):
                index.upsert([ids[row]], vectors[row : row + 1], [attributes[row]])

    def open(self, data: VectorSet, directory: Path) -> None:
        self._index = cast(LocalIndex, open_index(directory, "shared", background=False))

    def prepare(self, query: np.ndarray) -> np.ndarray:
        return query[np.newaxis]

    def prepare_filter(self, filter: Filter) -> str:
        if "below" in filter:
            return f"{filter['column']} < {filter['below']}"
        return f"{filter['column']} in ({', '.join(map(str, filter['among']))})"

    def search(self, setting: Setting, k: int) -> Search:
        index, effort = self._index, Effort(**setting)

        def one(query: np.ndarray, where: str | None) -> list[Hit]:
            return index.search(query, k, where=where, attributes=False, effort=effort)[0]

        return one

    def ids(self, answer: list[Hit]) -> list[int]:
        return [int(hit.id) for hit in answer]


class LykeionHNSW(Lykeion):
    about = "the HNSW kernel, else the same"
    kernel = "hnsw"
    settings = tuple(
        {"ef": ef, "rerank": rerank, "scan": 16}
        for ef, rerank in (
            (12, 12),
            (16, 14),
            (20, 16),
            (24, 20),
            (32, 24),
            (36, 30),
            (40, 32),
            (44, 36),
            (48, 40),
            (64, 40),
            (96, 60),
            (192, 100),
            (384, 160),
            (768, 240),
        )
    )


class LykeionExact(Lykeion):
    about = "the exact kernel, else the same"
    kernel = "exact"
    query_limit = 500
    settings = ({"ef": 1, "rerank": 1, "scan": 1},)
    filtered = settings


class LykeionWithTail(Lykeion):
    about = "as the first, and 1,000 rows written since, one a call: in the log, compared exactly"
    tail = 1_000
    filtered = ()
