"""The index on Milvus: a server or cluster, or Milvus Lite in a file, behind the same protocol.

A row of the collection is a photo. A product's attributes are stored in each of its rows, as JSON, with the list of
columns that are not null; the product's first photo has ``ordinal`` 0, so that products can be counted. Dimension,
metric, embedder and columns are stored in the collection's properties. docs/milvus.md lists the differences.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Self

import numpy as np

from lykeion.core import NotFound, Unsupported
from lykeion.search.index.batch import BatchError, check_count, check_ids, named_photos, prepared_vectors
from lykeion.search.index.errors import EmbedderMismatch
from lykeion.search.index.protocol import (
    Attributes,
    ColumnType,
    Hit,
    Metric,
    Mode,
    Photo,
    Product,
    Rows,
    Stats,
    Value,
)

from .client import MAX_ROWS, Client, MilvusError
from .collection import Settings
from .columns import Columns
from .filter import ATTRIBUTES
from .milvus_address import Address
from .rows import (
    FIELDS,
    Row,
    attached,
    attached_of,
    key,
    new_row,
    numbered,
    owner,
    photo_of,
    vectors_of,
    with_attributes,
)
from .search import nearest_products

_MILVUS_DOES = "{} is for a local index; Milvus has tools of its own for this"
_PRODUCTS_A_CALL = 2_048
_NO_COLUMN_CHANGES = (
    "columns of a collection on Milvus stay as they are; copy it to a local index with lykeion index copy FROM TO, "
    "change them there, and copy that to a new collection"
)
_NO_SNAPSHOTS = (
    "Milvus keeps no snapshots of a collection; use milvus-backup, or copy it with: lykeion index copy FROM TO"
)


def open_milvus(
    uri: str,
    mode: Mode = "r",
    *,
    dimension: int | None = None,
    metric: Metric = "cosine",
    embedder: str = "",
) -> "MilvusIndex":
    """The index at milvus://host:port/collection, milvus+tls://… or milvus:///path/file.db/collection.

    Created if missing, if the mode allows writing and a dimension is given. Milvus allows several writers, so "w" and
    "shared" are the same. Raises NotFound, EmbedderMismatch, IndexFormatError, MilvusError, and Unsupported for a
    server of an unsupported version.
    """
    address = Address.parse(uri)
    client = Client(address, create=mode != "r" and dimension is not None)
    try:
        if not client.exists():
            if mode == "r" or dimension is None:
                raise NotFound(f"no index at {uri}; make it with: lykeion index add PHOTOS --index {uri}")
            client.create(Settings(dimension, metric, embedder))
        index = MilvusIndex(client, writable=mode != "r")
        if embedder and index.embedder and embedder != index.embedder:
            raise EmbedderMismatch.of(uri, "embedder", index.embedder, embedder)
        if dimension is not None and dimension != index.dimension:
            raise EmbedderMismatch.of(uri, "dimension", index.dimension, dimension)
        if not client.loaded():
            if mode == "r":
                raise MilvusError(f"{uri} is not loaded: load it in Milvus, or add a photo to it, which does that")
            client.load(index.settings)
    except BaseException:
        client.close()
        raise
    return index


class MilvusIndex:
    """An index in a Milvus collection; opened by ``open_milvus``.

    When a write returns, this process sees it; others a little later, or at once if their address requests strong
    consistency. A write consists of many rows and is not a transaction in Milvus: repeat it if it is interrupted.
    Errors of the server raise MilvusError.
    """

    def __init__(self, client: Client, *, writable: bool) -> None:
        self._client, self._writable = client, writable
        self._writing = threading.Lock()
        self._columns = Columns(client)
        settings = self._columns.settings
        self.dimension, self.embedder = settings.dimension, settings.embedder
        self.metric: Metric = settings.metric
        self.dtype, self.path = "float32", None

    # --- writing ---

    def upsert(
        self,
        ids: Sequence[str],
        vectors: np.ndarray,
        attributes: Sequence[Attributes] | None = None,
        *,
        photos: Sequence[Photo] | None = None,
    ) -> None:
        check_ids(ids)
        check_count(ids, attributes)
        prepared = prepared_vectors(vectors, self.dimension, self.metric, rows=len(ids))
        named = named_photos(ids, photos)
        with self._write():
            stored = None if attributes is None else self._columns.extend(attributes, ids)

            def change(product: str, old: list[Row]) -> list[Row]:
                numbers = rows_of[product]
                if stored is None and old:
                    fields = attached_of(old[0])
                else:
                    fields = attached(product, stored[numbers[-1]] if stored is not None else {})
                rows = {row["photo"]: with_attributes(row, fields) for row in old} if photos is not None else {}
                for n in numbers:
                    rows[named[n].name] = new_row(product, named[n], prepared[n], fields)
                return list(rows.values())

            rows_of: dict[str, list[int]] = {}
            for n, product in enumerate(ids):
                rows_of.setdefault(product, []).append(n)
            self._rewrite(list(rows_of), change)

    def update(self, ids: Sequence[str], attributes: Sequence[Attributes]) -> int:
        check_ids(ids)
        check_count(ids, attributes)
        with self._write():
            stored = self._columns.extend(attributes, ids)
            changes: dict[str, dict[str, Value]] = {}
            for product, given, kept in zip(ids, attributes, stored, strict=True):
                changes.setdefault(product, {}).update({name: kept.get(name) for name in given})

            def change(product: str, old: list[Row]) -> list[Row]:
                if not old:
                    return []
                merged = {**self._columns.attributes(old[0]), **changes[product]}
                present = {name: value for name, value in merged.items() if value is not None}
                fields = attached(product, present)
                return [with_attributes(row, fields) for row in old]

            return self._rewrite(list(changes), change)

    def delete(self, ids: Sequence[str], *, photos: Sequence[str] | None = None) -> int:
        check_ids(ids)
        with self._write():
            if photos is None:
                return self._rewrite(list(dict.fromkeys(ids)), lambda product, old: [])
            check_count(ids, photos)
            gone = {key(product, photo) for product, photo in zip(ids, photos, strict=True)}
            found = 0

            def change(product: str, old: list[Row]) -> list[Row]:
                nonlocal found
                kept = [row for row in old if row["key"] not in gone]
                found += len(old) - len(kept)
                return kept

            self._rewrite(list(dict.fromkeys(ids)), change)
            return found

    def drop_column(self, name: str) -> None:
        raise Unsupported(_NO_COLUMN_CHANGES)

    def rename_column(self, name: str, to: str) -> None:
        raise Unsupported(_NO_COLUMN_CHANGES)

    def retype_column(self, name: str, kind: ColumnType, *, clear: bool = False) -> int:
        raise Unsupported(_NO_COLUMN_CHANGES)

    def compact(self, *, full: bool = False) -> None:
        self._client.compact()

    def snapshot(self, name: str) -> None:
        raise Unsupported(_NO_SNAPSHOTS)

    def restore(self, name: str) -> None:
        raise Unsupported(_NO_SNAPSHOTS)

    def drop_snapshot(self, name: str) -> None:
        raise Unsupported(_NO_SNAPSHOTS)

    def export(self, path: Path) -> None:
        raise Unsupported(_NO_SNAPSHOTS)

    def merge_from(self, path: Path) -> None:
        raise Unsupported("only an index in a directory takes over another's files; copy it with: lykeion index copy")

    def verify(self) -> list[str]:
        raise Unsupported(_MILVUS_DOES.format("verify"))

    def rebuild(self) -> None:
        raise Unsupported(_MILVUS_DOES.format("rebuild"))

    @property
    def settings(self) -> Settings:
        return self._columns.settings

    def close(self) -> None:
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- reading ---

    def get(self, ids: Sequence[str], *, vectors: bool = False) -> list[Product | None]:
        check_ids(ids)
        fields = FIELDS if vectors else FIELDS[:-1]
        found = self._products(list(dict.fromkeys(ids)), fields)
        return [self._product(found[product], vectors) if found[product] else None for product in ids]

    def search(
        self,
        queries: np.ndarray | Sequence[str],
        k: int = 10,
        *,
        where: str | None = None,
        attributes: bool = True,
    ) -> list[list[Hit]]:
        if not 1 <= k <= MAX_ROWS:
            raise BatchError(f"k is {k}; Milvus gives from 1 to {MAX_ROWS:,} answers")
        condition = self._columns.condition(where)
        if isinstance(queries, np.ndarray):
            prepared = prepared_vectors(queries, self.dimension, self.metric)
            return self._nearest(prepared, k, condition, attributes)
        check_ids(queries)
        found = self._products(list(dict.fromkeys(queries)), FIELDS)
        if missing := [product for product in queries if not found[product]]:
            raise NotFound(f"no product {missing[0]!r} in {self._client.uri}")
        return [self._nearest_to(product, found[product], k, condition, attributes) for product in queries]

    def count(self, where: str | None = None) -> int:
        return self._client.count(_both("ordinal == 0", self._columns.condition(where)))

    def scan(self, *, vectors: bool = False, batch: int = 1024) -> Iterator[Rows]:
        for rows in self._client.scan(FIELDS if vectors else FIELDS[:-1], batch):
            yield self._rows(rows, vectors=vectors)

    def sample(self, count: int, where: str | None = None) -> Rows:
        # Keys are digests, so the first ones are as good as a random sample.
        condition = _both("ordinal == 0", self._columns.condition(where))
        return self._rows(next(self._client.scan(FIELDS[:-1], count, condition), []))

    def stats(self) -> Stats:
        return Stats(
            products=self.count(),
            photos=self._client.count(""),
            dimension=self.dimension,
            metric=self.metric,
            embedder=self.embedder,
            columns=dict(self._columns.schema().columns),
            details={"uri": self._client.uri, "server": self._client.version()},
        )

    # --- write operations ---

    @contextlib.contextmanager
    def _write(self) -> Iterator[None]:
        """One write of this process at a time."""
        if not self._writable:
            raise Unsupported(f"{self._client.uri} was opened to read; open it to write")
        with self._writing:
            yield

    def _rewrite(self, products: list[str], change: Callable[[str, list[Row]], list[Row]]) -> int:
        """Replace each product's rows by ``change(product, rows)``; returns how many products had rows."""
        existed = 0
        for start in range(0, len(products), _PRODUCTS_A_CALL):
            before = self._products(products[start : start + _PRODUCTS_A_CALL], FIELDS)
            existed += sum(1 for rows in before.values() if rows)
            written: list[Row] = []
            gone: list[str] = []
            for product, old in before.items():
                new = numbered(change(product, old))
                kept, untouched = {row["key"] for row in new}, {id(row) for row in old}
                written += [row for row in new if id(row) not in untouched]
                gone += [row["key"] for row in old if row["key"] not in kept]
            self._client.upsert(written)
            self._client.delete(gone)
        return existed

    # --- look-ups ---

    def _products(self, products: Sequence[str], fields: list[str]) -> dict[str, list[Row]]:
        """The rows of each product in the order of its photos; none for a missing product."""
        found: dict[str, list[Row]] = {product: [] for product in products}
        for start in range(0, len(products), _PRODUCTS_A_CALL):
            owners = [owner(product) for product in products[start : start + _PRODUCTS_A_CALL]]
            for row in self._client.rows_of(owners, fields):
                found[row["product"]].append(row)
        for rows in found.values():
            rows.sort(key=lambda row: row["ordinal"])
        return found

    def _nearest(self, queries: np.ndarray, k: int, condition: str, attributes: bool) -> list[list[Hit]]:
        fields = ["product", "photo", ATTRIBUTES] if attributes else ["product", "photo"]
        return [
            [
                Hit(row["product"], score, row["photo"], self._columns.attributes(row) if attributes else {})
                for row, score in found
            ]
            for found in nearest_products(self._client, queries, k, condition, fields)
        ]

    def _nearest_to(self, product: str, rows: list[Row], k: int, condition: str, attributes: bool) -> list[Hit]:
        """The products nearest to any of a product's photos, without itself."""
        others = _both(f'owner != "{owner(product)}"', condition)
        hits = [hit for found in self._nearest(vectors_of(rows), k, others, attributes) for hit in found]
        hits.sort(key=lambda hit: hit.score, reverse=self.metric == "cosine")
        best: dict[str, Hit] = {}
        for hit in hits:
            best.setdefault(hit.id, hit)
        return list(best.values())[:k]

    def _rows(self, rows: list[Row], *, vectors: bool = False) -> Rows:
        return Rows(
            ids=[row["product"] for row in rows],
            photos=[photo_of(row) for row in rows],
            vectors=vectors_of(rows) if vectors else None,
            attributes=[self._columns.attributes(row) for row in rows],
        )

    def _product(self, rows: list[Row], vectors: bool) -> Product:
        return Product(
            id=rows[0]["product"],
            photos=[photo_of(row) for row in rows],
            attributes=self._columns.attributes(rows[0]),
            vectors=vectors_of(rows) if vectors else None,
        )


def _both(first: str, second: str) -> str:
    return f"{first} and {second}" if second else first
