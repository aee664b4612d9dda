"""The collection of an index: its fields, their indexes, and the settings stored in its properties."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from lykeion.search.index.protocol import MAX_ID_BYTES, Metric
from lykeion.search.index.schema import MAX_COLUMNS, MAX_NAME_BYTES, ColumnType

FORMAT = 1
INDEXED = ("vector", "owner", "ordinal")
SETTINGS = "lykeion"
"""The property that holds the settings, as JSON."""


@dataclass(frozen=True)
class Settings:
    """The stored settings of an index."""

    dimension: int
    metric: Metric
    embedder: str = ""
    columns: Mapping[str, ColumnType] = field(default_factory=dict)

    def to_json(self) -> str:
        return json.dumps({"format": FORMAT, **asdict(self)}, ensure_ascii=True)


def fields(dimension: int) -> Any:
    """pymilvus's schema."""
    from pymilvus import DataType, MilvusClient

    schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("key", DataType.VARCHAR, is_primary=True, max_length=64)
    schema.add_field("product", DataType.VARCHAR, max_length=MAX_ID_BYTES)
    schema.add_field("owner", DataType.VARCHAR, max_length=32)
    schema.add_field("photo", DataType.VARCHAR, max_length=1_024)
    schema.add_field("photo_digest", DataType.VARCHAR, max_length=1_024)
    schema.add_field("ordinal", DataType.INT32)
    schema.add_field(
        "present",
        DataType.ARRAY,
        element_type=DataType.VARCHAR,
        max_capacity=MAX_COLUMNS,
        max_length=2 * MAX_NAME_BYTES + 1,
    )
    schema.add_field("attributes", DataType.JSON)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dimension)
    return schema


def indexes(names: Iterable[str], metric: Metric, *, lite: bool) -> Any:
    """pymilvus's parameters for the indexes of these fields.

    The server chooses the type for a scalar field: 2.3 refuses INVERTED, the name in 2.4 and later, and vice versa.
    """
    from pymilvus import MilvusClient

    params = MilvusClient.prepare_index_params()
    for name in names:
        if name != "vector":
            params.add_index(name)
        elif lite:
            params.add_index(name, index_type="FLAT", metric_type=_METRICS[metric])
        else:
            params.add_index(name, index_type="HNSW", metric_type=_METRICS[metric], params=_HNSW)
    return params


_METRICS = {"cosine": "COSINE", "l2": "L2"}
_HNSW = {"M": 16, "efConstruction": 200}
