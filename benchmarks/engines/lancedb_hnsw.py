"""LanceDB: HNSW over 8-bit codes in one partition, with scalar indices for the filters."""
# pyright: reportMissingImports=false

from pathlib import Path
from typing import Any

import lancedb
import numpy as np
import pyarrow as pa
from measuring.vector_sets import Filter, VectorSet

from .protocol import Search, Setting


class LanceDB:
    about = "IVF_HNSW_SQ, 1 partition, m 16, ef_construction 200; refined by stored vectors; prefilter"
    query_limit = 1_000
    settings = tuple(
        {"ef": ef, "refine": refine}
        for ef, refine in ((16, 1), (20, 1), (32, 1), (64, 1), (64, 2), (128, 2), (256, 2), (512, 4))
    )
    filtered = ({"ef": 64, "refine": 2}, {"ef": 256, "refine": 2}, {"ef": 1024, "refine": 2})

    def build(self, data: VectorSet, directory: Path) -> None:
        values = pa.array(data.rows.astype(np.float32).reshape(-1))
        vectors = pa.FixedSizeListArray.from_arrays(values, data.dimension)
        columns = {"id": np.arange(len(data.rows)), "label": data.label, "bucket": data.bucket, "vector": vectors}
        table = lancedb.connect(directory).create_table("rows", pa.table(columns))
        table.create_index(metric="l2", index_type="IVF_HNSW_SQ", num_partitions=1, m=16, ef_construction=200)
        table.create_scalar_index("label", index_type="BITMAP")
        table.create_scalar_index("bucket", index_type="BTREE")

    def open(self, data: VectorSet, directory: Path) -> None:
        self._table: Any = lancedb.connect(directory).open_table("rows")

    def prepare(self, query: np.ndarray) -> np.ndarray:
        return query

    def prepare_filter(self, filter: Filter) -> str:
        if "below" in filter:
            return f"{filter['column']} < {filter['below']}"
        return f"{filter['column']} in ({', '.join(map(str, filter['among']))})"

    def search(self, setting: Setting, k: int) -> Search:
        table, ef, refine = self._table, setting["ef"], setting["refine"]

        def one(query: np.ndarray, where: str | None) -> Any:
            asked = table.search(query).limit(k).select(["id", "_distance"]).nprobes(1).ef(ef)
            if refine > 1:
                asked = asked.refine_factor(refine)
            if where is not None:
                asked = asked.where(where, prefilter=True)
            return asked.to_arrow()

        return one

    def ids(self, answer: Any) -> list[int]:
        return answer.column("id").to_pylist()
