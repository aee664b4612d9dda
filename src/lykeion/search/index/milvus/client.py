"""The calls made to Milvus, with its errors as ours; and how an address becomes a collection."""

import json
import logging
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np

from lykeion.core import NotFound, Unavailable, Unsupported
from lykeion.search.index.errors import IndexFormatError
from lykeion.search.index.protocol import MAX_ID_BYTES, Metric
from lykeion.search.index.schema import MAX_COLUMNS, MAX_NAME_BYTES, ColumnType

LITE_OPTIONS = {"grpc.keepalive_time_ms": 600_000, "grpc.keepalive_permit_without_calls": False}
"""Milvus Lite hangs up on clients that ask every ten seconds whether it is there, as pymilvus does."""
TOKEN_VARIABLE = "LYKEION_MILVUS_TOKEN"  # noqa: S105 - the variable's name, not a token
FORMAT = 1
MAX_ROWS = 16_384
"""The most rows Milvus gives for one query."""

_ROWS_A_WRITE = 512
_PROPERTY = "lykeion"


class MilvusError(Unavailable):
    """Milvus refused or could not be reached; the message names the address and gives Milvus's reason."""


@dataclass(frozen=True)
class Address:
    """Where a collection is: ``uri`` as pymilvus takes it, and whether that is a file of Milvus Lite."""

    uri: str
    collection: str
    lite: bool

    @classmethod
    def parse(cls, text: str) -> "Address":
        """From milvus://host:port/collection, milvus+tls://… or milvus:///path/file.db/collection.

        Raises IndexFormatError.
        """
        parts = urlsplit(text)
        place, _, collection = unquote(parts.path).rpartition("/")
        lite = parts.scheme == "milvus" and not parts.netloc
        wrong = parts.scheme not in ("milvus", "milvus+tls") or parts.query or parts.fragment or "@" in parts.netloc
        if wrong or (not place.endswith(".db") if lite else place or not parts.netloc):
            raise IndexFormatError(
                f"{text}: write milvus://host:port/collection, milvus+tls://host:port/collection or "
                f"milvus:///path/file.db/collection; a token goes into {TOKEN_VARIABLE}"
            )
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,254}", collection):
            raise IndexFormatError(f"{text}: a collection's name has letters, digits and underscores only")
        if lite:
            return cls(place, collection, lite)
        return cls(f"{'https' if parts.scheme == 'milvus+tls' else 'http'}://{parts.netloc}", collection, lite)


@dataclass(frozen=True)
class Settings:
    """What an index remembers, kept as JSON in the collection's properties."""

    dimension: int
    metric: Metric
    embedder: str = ""
    columns: Mapping[str, ColumnType] = field(default_factory=dict)

    def to_json(self) -> str:
        return json.dumps({"format": FORMAT, **asdict(self)}, ensure_ascii=True)


class Client:
    """One collection of a Milvus server. Every call may raise MilvusError."""

    def __init__(self, address: Address, *, create: bool) -> None:
        """Without ``create``, a missing file of Milvus Lite raises NotFound, where Milvus would make it."""
        try:
            from pymilvus import MilvusClient
            from pymilvus.exceptions import MilvusException
        except ImportError:
            raise Unsupported("Milvus needs the package pymilvus: pip install 'lykeion[milvus]'") from None
        # Its errors come back to us as exceptions; it would print each with a traceback as well.
        logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
        if address.lite and not create and not Path(address.uri).exists():
            raise NotFound(f"no Milvus Lite database at {address.uri}")
        self.uri = f"{address.uri}/{address.collection}"
        self._address, self._collection, self._failure = address, address.collection, MilvusException
        try:
            options: dict[str, Any] = {"grpc_options": LITE_OPTIONS} if address.lite else {}
            self._milvus = MilvusClient(address.uri, token=os.environ.get(TOKEN_VARIABLE, ""), **options)
        except (MilvusException, OSError, ValueError, ImportError) as error:
            raise MilvusError(f"cannot open {address.uri}: {_one_line(error)}") from None

    def exists(self) -> bool:
        return self._call("has_collection")

    def create(self, settings: Settings) -> None:
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
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=settings.dimension)
        metric = "COSINE" if settings.metric == "cosine" else "L2"
        indexes = MilvusClient.prepare_index_params()
        if self._address.lite:
            indexes.add_index("vector", index_type="FLAT", metric_type=metric)
        else:
            indexes.add_index(
                "vector", index_type="HNSW", metric_type=metric, params={"M": 16, "efConstruction": 200}
            )
            for name in ("owner", "ordinal"):
                indexes.add_index(name, index_type="INVERTED")
        self._call(
            "create_collection",
            schema=schema,
            index_params=indexes,
            consistency_level="Strong",
            properties={_PROPERTY: settings.to_json()},
        )

    def settings(self) -> Settings:
        """Raises IndexFormatError where the collection is not one of ours, or of a newer format."""
        kept = self._call("describe_collection").get("properties", {}).get(_PROPERTY)
        if kept is None:
            raise IndexFormatError(f"{self.uri} exists and is not an index of ours; name another collection")
        values = json.loads(kept)
        if values.pop("format") > FORMAT:
            raise IndexFormatError(f"{self.uri} was written by a newer version; upgrade lykeion to open it")
        return Settings(**values)

    def keep(self, settings: Settings) -> None:
        self._call("alter_collection_properties", properties={_PROPERTY: settings.to_json()})

    def upsert(self, rows: Sequence[dict[str, Any]]) -> None:
        for start in range(0, len(rows), _ROWS_A_WRITE):
            self._call("upsert", data=list(rows[start : start + _ROWS_A_WRITE]))

    def delete(self, keys: Sequence[str]) -> None:
        for start in range(0, len(keys), _ROWS_A_WRITE):
            self._call("delete", ids=list(keys[start : start + _ROWS_A_WRITE]))

    def rows_of(self, owners: Sequence[str], fields: list[str]) -> list[dict[str, Any]]:
        """All rows of these products; halves the question where the answer is cut off."""
        if not owners:
            return []
        condition = f"owner in {json.dumps(list(owners))}"
        rows = self._call("query", filter=condition, output_fields=fields, limit=MAX_ROWS)
        if len(rows) < MAX_ROWS:
            return list(rows)
        if len(owners) == 1:
            raise Unsupported(f"a product of {self.uri} has {MAX_ROWS:,} photos or more, beyond what Milvus gives")
        half = len(owners) // 2
        return self.rows_of(owners[:half], fields) + self.rows_of(owners[half:], fields)

    def count(self, condition: str) -> int:
        return int(self._call("query", filter=condition, output_fields=["count(*)"])[0]["count(*)"])

    def search(self, queries: np.ndarray, limit: int, condition: str, fields: list[str]) -> list[list[Any]]:
        """For each query the nearest rows, as pymilvus gives them: ``distance`` and ``entity``."""
        params = {} if self._address.lite else {"params": {"ef": max(128, 2 * limit)}}
        found = self._call(
            "search",
            anns_field="vector",
            data=list(queries),
            limit=limit,
            filter=condition,
            output_fields=fields,
            search_params=params,
        )
        return list(found)

    def scan(self, fields: list[str], batch: int, condition: str = "") -> Iterator[list[dict[str, Any]]]:
        """Batches of the rows that meet the condition, by key."""
        rows = self._call("query_iterator", batch_size=min(batch, MAX_ROWS), filter=condition, output_fields=fields)
        try:
            while found := self._guarded(rows.next):
                yield list(found)
        finally:
            rows.close()

    def compact(self) -> None:
        self._call("flush")
        self._call("compact")

    def version(self) -> str:
        return str(self._guarded(self._milvus.get_server_version))

    def close(self) -> None:
        self._milvus.close()

    def _call(self, operation: str, **arguments: Any) -> Any:
        return self._guarded(getattr(self._milvus, operation), self._collection, **arguments)

    def _guarded(self, call: Any, *values: Any, **arguments: Any) -> Any:
        try:
            return call(*values, **arguments)
        except self._failure as error:
            raise MilvusError(f"{self.uri}: {_one_line(error)}") from None


def _one_line(error: Exception) -> str:
    return " ".join(str(getattr(error, "message", "") or error).split())[:300]
