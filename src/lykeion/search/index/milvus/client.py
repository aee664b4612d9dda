"""The calls to Milvus, whose errors are raised as MilvusError."""

import contextlib
import json
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lykeion.core import NotFound, Unavailable, Unsupported
from lykeion.search.index.errors import IndexFormatError

from .collection import FORMAT, INDEXED, SETTINGS, Settings, fields, indexes
from .milvus_address import TOKEN_VARIABLE, Address
from .own_writes import own_writes
from .rows import Row, owner_of
from .server_version import check_version

LITE_OPTIONS = {"grpc.keepalive_time_ms": 600_000, "grpc.keepalive_permit_without_calls": False}
"""Milvus Lite disconnects clients that send keepalive pings every ten seconds, as pymilvus does."""
MAX_ROWS = 16_384
"""The maximum number of rows that Milvus returns for one query."""

_BYTES_A_WRITE = 16 * 2**20
"""A server accepts up to 64 MiB; the larger the writes, the fewer it has to order."""
_KEYS_A_DELETE = 2_048
_FLUSH_S = 60
_ROWS_TO_FLUSH = 4_096
"""After this many, a flush is worth its time: the server then builds HNSW over them, instead of in ten minutes."""


class MilvusError(Unavailable):
    """Milvus refused or could not be reached; the message names the address and gives Milvus's reason."""


class Client:
    """One collection of a Milvus server. Every call may raise MilvusError."""

    def __init__(self, address: Address, *, create: bool) -> None:
        """Without ``create``, a missing file of Milvus Lite raises NotFound; Milvus itself would create it.

        Raises Unsupported for a server of an unsupported version.
        """
        try:
            from pymilvus import MilvusClient
            from pymilvus.exceptions import MilvusException
        except ImportError:
            raise Unsupported("Milvus needs the package pymilvus: pip install 'lykeion[milvus]'") from None
        # Its errors are raised as exceptions; it would also print each with a traceback.
        logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
        if address.lite and not create and not Path(address.uri).exists():
            raise NotFound(f"no Milvus Lite database at {address.uri}")
        self.uri = f"{address.uri}/{address.collection}"
        self._address, self._collection, self._failure = address, address.collection, MilvusException
        self._own = own_writes(address.uri, address.collection)
        self._has_read, self._unflushed = False, 0
        try:
            options: dict[str, Any] = {"grpc_options": LITE_OPTIONS} if address.lite else {}
            self._milvus = MilvusClient(address.uri, token=os.environ.get(TOKEN_VARIABLE, ""), **options)
        except (MilvusException, OSError, ValueError, ImportError) as error:
            raise MilvusError(f"cannot open {address.uri}: {_one_line(error)}") from None
        if not address.lite:
            try:
                check_version(self.version(), address.uri)
            except BaseException:
                self.close()
                raise

    # --- the collection ---

    def exists(self) -> bool:
        return self._call("has_collection")

    def create(self, settings: Settings) -> None:
        """Create the collection completely, or not at all."""
        self._call(
            "create_collection",
            schema=fields(settings.dimension),
            consistency_level="Strong",  # for scans, which do not set their own
            properties={SETTINGS: settings.to_json()},
        )
        try:
            self.load(settings)
        except BaseException:
            with contextlib.suppress(MilvusError):
                if not self.loaded():  # another process may have created it in the meantime
                    self._call("drop_collection")
            raise

    def loaded(self) -> bool:
        from pymilvus.client.types import LoadState

        return self._call("get_load_state")["state"] == LoadState.Loaded

    def load(self, settings: Settings) -> None:
        """Create missing indexes, and have the server load the collection."""
        lite = self._address.lite
        wanted = INDEXED[:1] if lite else INDEXED
        if missing := [name for name in wanted if not self._call("list_indexes", field_name=name)]:
            self._call("create_index", index_params=indexes(missing, settings.metric, lite=lite))
        self._call("load_collection")

    def settings(self) -> Settings:
        """Raises IndexFormatError if the collection is not a Lykeion index, or has a newer format."""
        kept = self._call("describe_collection").get("properties", {}).get(SETTINGS)
        if kept is None:
            raise IndexFormatError(f"{self.uri} exists and is not an index of ours; name another collection")
        values = json.loads(kept)
        if values.pop("format") > FORMAT:
            raise IndexFormatError(f"{self.uri} was written by a newer version; upgrade lykeion to open it")
        return Settings(**values)

    def keep(self, settings: Settings) -> None:
        self._call("alter_collection_properties", properties={SETTINGS: settings.to_json()})

    def compact(self) -> None:
        self._call("flush")
        self._unflushed = 0
        self._call("compact")

    def version(self) -> str:
        return str(self._guarded(self._milvus.get_server_version))

    def close(self) -> None:
        """Flush the writes, once; without a flush they are equally safe, but searched more slowly for a while."""
        if self._unflushed >= _ROWS_TO_FLUSH and not self._address.lite:
            with contextlib.suppress(MilvusError):
                self._call("flush", timeout=_FLUSH_S)
        self._milvus.close()

    # --- writing ---

    def upsert(self, rows: Sequence[Row]) -> None:
        for part in _parts(rows):
            self._call("upsert", data=part)
            self._own.written(row["owner"] for row in part)
            self._unflushed += len(part)

    def delete(self, keys: Sequence[str]) -> None:
        for start in range(0, len(keys), _KEYS_A_DELETE):
            part = list(keys[start : start + _KEYS_A_DELETE])
            self._call("delete", ids=part)
            self._own.written(map(owner_of, part), delete=True)
            self._unflushed += len(part)

    # --- reading ---

    def rows_of(self, owners: Sequence[str], fields: list[str]) -> list[Row]:
        """All rows of these products, also those just written; splits the query in two if its result is cut off."""
        if not owners:
            return []
        condition = f"owner in {json.dumps(list(owners))}"
        rows = self._read("query", owners, filter=condition, output_fields=fields, limit=MAX_ROWS)
        if len(rows) < MAX_ROWS:
            return list(rows)
        if len(owners) == 1:
            raise Unsupported(f"a product of {self.uri} has {MAX_ROWS:,} photos or more, beyond what Milvus gives")
        half = len(owners) // 2
        return self.rows_of(owners[:half], fields) + self.rows_of(owners[half:], fields)

    def count(self, condition: str) -> int:
        return int(self._read("query", filter=condition, output_fields=["count(*)"])[0]["count(*)"])

    def search(self, queries: np.ndarray, limit: int, condition: str, fields: list[str]) -> list[list[Any]]:
        """For each query the nearest rows, as pymilvus returns them: ``distance`` and ``entity``."""
        params = {} if self._address.lite else {"params": {"ef": max(128, 2 * limit)}}
        found = self._read(
            "search",
            anns_field="vector",
            data=list(queries),
            limit=limit,
            filter=condition,
            output_fields=fields,
            search_params=params,
        )
        return list(found)

    def scan(self, fields: list[str], batch: int, condition: str = "") -> Iterator[list[Row]]:
        """Batches of the rows that meet the condition, by key."""
        rows = self._call("query_iterator", batch_size=min(batch, MAX_ROWS), filter=condition, output_fields=fields)
        try:
            while found := self._guarded(rows.next):
                yield list(found)
        finally:
            rows.close()

    def _read(self, operation: str, owners: Sequence[str] | None = None, **arguments: Any) -> Any:
        """Milvus's result at the consistency of the address; for ``owners``, with all writes of this process."""
        if self._address.lite:
            return self._call(operation, **arguments)
        before, level = self._own.number(), self._level(owners)
        found = self._call(operation, consistency_level=level, **arguments)
        if level in ("Strong", "Session"):
            self._own.seen(before)
        self._has_read = True
        return found

    def _level(self, owners: Sequence[str] | None) -> str:
        """Milvus's consistency level for a read.

        The first read of a handle waits for all earlier writes, so that a command sees what the previous one wrote.
        """
        asked = self._address.consistency
        if asked == "strong" or not self._has_read:
            return "Strong"
        waits = asked == "session" if owners is None else self._own.concern(owners)
        if waits:
            return "Strong" if self._own.delete_unseen() else "Session"
        return "Eventually" if asked == "session" else "Bounded"

    def _call(self, operation: str, **arguments: Any) -> Any:
        return self._guarded(getattr(self._milvus, operation), self._collection, **arguments)

    def _guarded(self, call: Any, *values: Any, **arguments: Any) -> Any:
        try:
            return call(*values, **arguments)
        except self._failure as error:
            raise MilvusError(f"{self.uri}: {_one_line(error)}") from None


def _parts(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """The rows, split into writes of about _BYTES_A_WRITE."""
    part: list[Row] = []
    size = 0
    for row in rows:
        row_bytes = 4 * len(row["vector"]) + len(str(row["attributes"])) + 1_024
        if part and size + row_bytes > _BYTES_A_WRITE:
            yield part
            part, size = [], 0
        part.append(row)
        size += row_bytes
    if part:
        yield part


def _one_line(error: Exception) -> str:
    return " ".join(str(getattr(error, "message", "") or error).split())[:300]
