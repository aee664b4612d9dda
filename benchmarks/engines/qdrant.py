"""Qdrant Edge: HNSW over 8-bit codes rescored by float32 vectors; payload indices before the graph, as it advises."""
# pyright: reportMissingImports=false

from pathlib import Path
from typing import Any

import numpy as np
import qdrant_edge as qdrant
from measuring.vector_sets import Filter, VectorSet

from .protocol import Search, Setting

_BATCH = 5_000


class QdrantEdge:
    about = "m 16, ef_construct 200, int8 codes rescored; payload indices"
    query_limit = 2_000
    settings = tuple(
        {"ef": ef, "codes": codes} for codes in (True, False) for ef in (10, 16, 24, 32, 48, 64, 96, 128, 256, 512)
    )
    filtered = (
        *({"ef": ef, "codes": True} for ef in (32, 128, 512)),
        *({"ef": ef, "codes": True, "acorn": True} for ef in (32, 128)),
    )

    def build(self, data: VectorSet, directory: Path) -> None:
        config = qdrant.EdgeConfig(
            vectors=qdrant.EdgeVectorParams(size=data.dimension, distance=qdrant.Distance.Euclid),
            hnsw_config=qdrant.HnswIndexConfig(m=16, ef_construct=200, full_scan_threshold=1_000),
            quantization_config=qdrant.ScalarQuantizationConfig(qdrant.ScalarType.Int8, memory=qdrant.Memory.Pinned),
            optimizers=qdrant.EdgeOptimizersConfig(default_segment_number=1),
        )
        directory.mkdir(parents=True)
        shard = qdrant.EdgeShard.create(str(directory), config)
        for column in ("label", "bucket"):
            index = qdrant.UpdateOperation.create_field_index(column, qdrant.PayloadSchemaType.Integer)
            shard.update(index)
        vectors = data.rows.astype(np.float32)
        for start in range(0, len(vectors), _BATCH):
            points = [
                qdrant.Point(
                    row, vectors[row].tolist(), {"label": int(data.label[row]), "bucket": int(data.bucket[row])}
                )
                for row in range(start, min(start + _BATCH, len(vectors)))
            ]
            shard.update(qdrant.UpdateOperation.upsert_points(points))
        shard.optimize()
        shard.flush()
        shard.close()

    def open(self, data: VectorSet, directory: Path) -> None:
        self._shard = qdrant.EdgeShard.load(str(directory))

    def prepare(self, query: np.ndarray) -> Any:
        return qdrant.Query.Nearest(query.tolist())

    def prepare_filter(self, filter: Filter) -> Any:
        if "below" in filter:
            condition = qdrant.FieldCondition(filter["column"], range=qdrant.RangeFloat(lt=filter["below"]))
        else:
            condition = qdrant.FieldCondition(filter["column"], match=qdrant.MatchAny(filter["among"]))
        return qdrant.Filter(must=[condition])

    def search(self, setting: Setting, k: int) -> Search:
        parameters = qdrant.SearchParams(
            hnsw_ef=setting["ef"],
            quantization=qdrant.QuantizationSearchParams(ignore=not setting["codes"], rescore=True),
            acorn=qdrant.AcornSearchParams(enable=True) if "acorn" in setting else None,
        )
        search, request = self._shard.search, qdrant.SearchRequest

        def one(query: Any, where: Any) -> Any:
            return search(request(query=query, limit=k, filter=where, params=parameters, with_payload=False))

        return one

    def ids(self, answer: Any) -> list[int]:
        return [int(point.id) for point in answer]
