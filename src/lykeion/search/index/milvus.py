"""The index on Milvus: a server or cluster, or Milvus Lite in a file, behind the same protocol.

A row of the collection is a photo. Its product's attributes stand in each of its rows, as JSON, beside the list of
columns that are not null; the product's first photo has ``ordinal`` 0, so that products can be counted. Dimension,
metric, embedder and columns are kept in the collection's properties. docs/milvus.md says what differs.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from lykeion.core import Unsupported

from . import where as filters
from .batch import BatchError, check_count, check_ids, named_photos, prepared_vectors
from .errors import EmbedderMismatch, NotFound, WhereError
from .milvus_client import MAX_ROWS, Address, Client, Settings
from .milvus_filter import ATTRIBUTES, to_milvus
from .milvus_rows import (
    FIELDS,
    Row,
    attached,
    attached_of,
    attributes_of,
    key,
    names,
    new_row,
    numbered,
    owner,
    photo_of,
    vectors_of,
    with_attributes,
)
from .milvus_search import nearest_products
from .protocol import Attributes, Hit, Metric, Photo, Product, Rows, Stats, Value
from .schema import Schema

_PRODUCTS_A_CALL = 128
_FOLLOW_SECONDS = 1.0


def open_milvus(
    uri: str,
    mode: Literal["r", "w", "shared"] = "r",
    *,
    dimension: int | None = None,
    metric: Metric = "cosine",
    embedder: str = "",
) -> "MilvusIndex":
    """The index at milvus://host:port/collection, milvus+tls://… or milvus:///path/file.db/collection.

    Made if missing where the mode writes and a dimension is given. Milvus takes several writers, so "w" and
    "shared" are the same. Raises NotFound, EmbedderMismatch, IndexFormatError, MilvusError.
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
            raise EmbedderMismatch(f"{uri} holds vectors of embedder {index.embedder}, not of {embedder}")
        if dimension is not None and dimension != index.dimension:
            raise EmbedderMismatch(f"{uri} holds vectors of dimension {index.dimension}, not {dimension}")
    except BaseException:
        client.close()
        raise
    return index


class MilvusIndex:
    """An index in a Milvus collection; opened by ``open_milvus``.

    Writes are visible when they return (strong consistency). A write is many rows to Milvus and not one
    transaction: if it is cut off, repeat it. Errors of the server raise MilvusError.
    """

    def __init__(self, client: Client, *, writable: bool) -> None:
        self._client, self._writable = client, writable
        self._writing = threading.Lock()
        self._settings = client.settings()
        self._read_at = time.monotonic()
        self.dimension = self._settings.dimension
        self.metric: Metric = self._settings.metric
        self.embedder = self._settings.embedder

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
        with self._write() as extend:
            stored = None if attributes is None else extend(attributes, ids)

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
        with self._write() as extend:
            stored = extend(attributes, ids)
            changes: dict[str, dict[str, Value]] = {}
            for product, given, kept in zip(ids, attributes, stored, strict=True):
                changes.setdefault(product, {}).update({name: kept.get(name) for name in given})

            def change(product: str, old: list[Row]) -> list[Row]:
                if not old:
                    return []
                merged = {**self._attributes(old[0]), **changes[product]}
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

    def compact(self) -> None:
        self._client.compact()

    def snapshot(self, name: str) -> None:
        raise Unsupported(
            "Milvus keeps no snapshots of a collection; back it up with milvus-backup, "
            "or copy it with: lykeion index copy FROM TO"
        )

    def restore(self, name: str) -> None:
        raise Unsupported(
            "Milvus keeps no snapshots of a collection; restore a backup with milvus-backup, "
            "or copy an index back with: lykeion index copy FROM TO"
        )

    def close(self) -> None:
        self._client.close()

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
        condition = self._condition(where)
        if isinstance(queries, np.ndarray):
            prepared = prepared_vectors(queries, self.dimension, self.metric)
            return self._nearest(prepared, k, condition, attributes)
        check_ids(queries)
        found = self._products(list(dict.fromkeys(queries)), FIELDS)
        if missing := [product for product in queries if not found[product]]:
            raise NotFound(f"no product {missing[0]!r} in {self._client.uri}")
        return [self._nearest_to(product, found[product], k, condition, attributes) for product in queries]

    def count(self, where: str | None = None) -> int:
        return self._client.count(_both("ordinal == 0", self._condition(where)))

    def scan(self, *, vectors: bool = False, batch: int = 1024) -> Iterator[Rows]:
        for rows in self._client.scan(FIELDS if vectors else FIELDS[:-1], batch):
            yield Rows(
                ids=[row["product"] for row in rows],
                photos=[photo_of(row) for row in rows],
                vectors=vectors_of(rows) if vectors else None,
                attributes=[self._attributes(row) for row in rows],
            )

    def stats(self) -> Stats:
        return Stats(
            products=self.count(),
            photos=self._client.count(""),
            dimension=self.dimension,
            metric=self.metric,
            embedder=self.embedder,
            columns=dict(self._followed().columns),
            details={"uri": self._client.uri, "server": self._client.version()},
        )

    # --- how a write is done ---

    @contextlib.contextmanager
    def _write(self) -> Iterator[Callable[[Sequence[Attributes], Sequence[str]], list[dict[str, Value]]]]:
        """One write of this process at a time; gives a function that extends the schema and coerces rows."""
        if not self._writable:
            raise Unsupported(f"{self._client.uri} was opened to read; open it to write")
        with self._writing:
            yield self._extend

    def _extend(self, rows: Sequence[Attributes], ids: Sequence[str]) -> list[dict[str, Value]]:
        schema = self._followed(seconds=0.0)
        extended = schema.extended(rows, ids)
        coerced = extended.coerce(rows, ids)
        for product, row in zip(ids, coerced, strict=True):
            attached(product, row)  # refuses what is too long before anything is written
        if extended is not schema:
            self._settings = replace(self._settings, columns=extended.to_json())
            self._client.keep(self._settings)
        return coerced

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

    # --- how things are found ---

    def _products(self, products: Sequence[str], fields: list[str]) -> dict[str, list[Row]]:
        """The rows of each product in the order of its photos, none for a product that is not there."""
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
                Hit(row["product"], score, row["photo"], self._attributes(row) if attributes else {})
                for row, score in found
            ]
            for found in nearest_products(self._client, queries, k, condition, fields)
        ]

    def _nearest_to(self, product: str, rows: list[Row], k: int, condition: str, attributes: bool) -> list[Hit]:
        """The products nearest to any of a product's photos, itself left out."""
        others = _both(f'owner != "{owner(product)}"', condition)
        hits = [hit for found in self._nearest(vectors_of(rows), k, others, attributes) for hit in found]
        hits.sort(key=lambda hit: hit.score, reverse=self.metric == "cosine")
        best: dict[str, Hit] = {}
        for hit in hits:
            best.setdefault(hit.id, hit)
        return list(best.values())[:k]

    # --- columns and attributes ---

    def _followed(self, *, seconds: float = _FOLLOW_SECONDS) -> Schema:
        """The columns, as other writers may have extended them; at most ``seconds`` old."""
        if time.monotonic() - self._read_at >= seconds:
            self._settings, self._read_at = self._client.settings(), time.monotonic()
        return Schema.from_json(self._settings.columns)

    def _condition(self, where: str | None) -> str:
        if where is None:
            return ""
        expression = filters.parse(where)
        try:
            return to_milvus(filters.check(expression, self._followed()))
        except WhereError:  # perhaps the column is new
            return to_milvus(filters.check(expression, self._followed(seconds=0.0)))

    def _attributes(self, row: Row) -> dict[str, Value]:
        if not names(row) <= self._settings.columns.keys():  # another writer's new columns
            self._followed(seconds=0.0)
        return attributes_of(row, self._settings.columns)

    def _product(self, rows: list[Row], vectors: bool) -> Product:
        return Product(
            id=rows[0]["product"],
            photos=[photo_of(row) for row in rows],
            attributes=self._attributes(rows[0]),
            vectors=vectors_of(rows) if vectors else None,
        )


def _both(first: str, second: str) -> str:
    return f"{first} and {second}" if second else first
