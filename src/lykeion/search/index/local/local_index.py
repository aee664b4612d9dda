"""The embedded index: a directory with one writing process and any number of readers.

Writes go to a log and to memory, and are on disk and visible when a call returns; from time to time the rows in
memory become a segment, and compaction merges segments in the background. See docs/decisions/ for the design.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Literal, Self, TypeVar

import numpy as np

from lykeion.core import LykeionError, NotFound
from lykeion.search.index.batch import BatchError, check_count, check_ids, named_photos, prepared_vectors
from lykeion.search.index.local.disk.log import Operation
from lykeion.search.index.local.disk.store import Identity
from lykeion.search.index.local.memory.layers import Layer, Located, bit, popcount
from lykeion.search.index.local.memory.state import State
from lykeion.search.index.local.memory.view import View
from lykeion.search.index.protocol import Attributes, Hit, Metric, Mode, Photo, Product, Rows, Stats, Value
from lykeion.search.index.schema import ColumnType
from lykeion.search.index.segment.kernel import Effort

from . import merging, snapshots, verifying
from .commits import GroupCommit
from .compactor import Compactor
from .replica import Replica

Durability = Literal["fsync", "os"]

_SEAL_ROWS = 8_192

T = TypeVar("T")


class LocalIndex:
    """An Index (lykeion.search.index.protocol) in a directory. Open one with ``open_index``.

    With ``durability`` "os" the operating system decides when to write to disk: a killed process still loses nothing,
    a power cut may lose the last seconds. ``effort`` sets a fixed search effort. ``background`` compacts in a thread
    while the index is open for writing. ``keep_manifests`` past states can be restored by generation. Without
    ``follow``, the state at opening stays: for a directory that nothing changes.
    """

    def __init__(
        self,
        path: Path,
        mode: Mode = "r",
        *,
        create: Identity | None = None,
        durability: Durability = "fsync",
        effort: Effort | None = None,
        background: bool = True,
        keep_manifests: int = 2,
        seal_rows: int = _SEAL_ROWS,
        follow: bool = True,
    ) -> None:
        self.path, self._effort = path, effort
        self._replica = replica = Replica(path, mode, create=create, keep_manifests=keep_manifests, follow=follow)
        self._compactor = Compactor(replica, background=background and mode != "r")
        self._commits = GroupCommit(
            replica, durable=durability == "fsync", seal_rows=seal_rows, sealed=self._compactor.start
        )
        self.identity = replica.identity
        self.dimension: int = self.identity.dimension
        self.metric: Metric = self.identity.metric
        self.embedder, self.dtype = self.identity.embedder, self.identity.dtype

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
        named = None if photos is None else named_photos(ids, photos)
        stored = self._stored(vectors, len(ids))
        if not len(ids):
            return

        def prepare(state: State) -> Operation:
            columns, rows = _fitted(state, attributes, ids)
            kept = _without_repeats(ids, named)
            take = list(range(len(ids))) if kept is None else kept
            last = dict(zip(ids, rows, strict=True)) if rows is not None else {}
            return Operation(
                "upsert",
                [ids[n] for n in take],
                None if named is None else [named[n] for n in take],
                None if rows is None else [last[ids[n]] for n in take],
                stored if kept is None else stored[take],
                columns,
                time.time(),
            )

        self._commits.write(prepare)

    def update(self, ids: Sequence[str], attributes: Sequence[Attributes]) -> int:
        check_ids(ids)
        check_count(ids, attributes)

        def prepare(state: State) -> Operation:
            columns, rows = _fitted(state, attributes, ids)
            assert rows is not None
            nulls = [{name: None for name, value in row.items() if value is None} for row in attributes]
            return Operation(
                "update",
                list(ids),
                None,
                [{**row, **null} for row, null in zip(rows, nulls, strict=True)],
                None,
                columns,
            )

        return self._commits.write(prepare) if len(ids) else 0

    def delete(self, ids: Sequence[str], *, photos: Sequence[str] | None = None) -> int:
        check_ids(ids)
        named = None if photos is None else named_photos(ids, [Photo(name) for name in photos])
        return self._commits.write(lambda state: Operation("delete", list(ids), named)) if len(ids) else 0

    # --- reading ---

    def get(self, ids: Sequence[str], *, vectors: bool = False) -> list[Product | None]:
        with self._replica.mutex:
            state = self._replica.current()
            products: list[Product | None] = []
            for id, places in zip(ids, Located(state.layers, ids).places, strict=True):
                if not places:
                    products.append(None)
                    continue
                layer, row = places[0]
                products.append(
                    Product(
                        id,
                        [layer.photo(row) for layer, row in places],
                        layer.attributes(row),
                        np.stack([layer.vector(row) for layer, row in places]).astype(np.float32)
                        if vectors
                        else None,
                    )
                )
            return products

    def search(
        self,
        queries: np.ndarray | Sequence[str],
        k: int = 10,
        *,
        where: str | None = None,
        attributes: bool = True,
        effort: Effort | None = None,
    ) -> list[list[Hit]]:
        if k < 1:
            from lykeion.core.expression import WhereError

            raise WhereError(f"k is {k}; ask for one answer or more")
        effort = effort or self._effort
        if isinstance(queries, np.ndarray):
            prepared = prepared_vectors(queries, self.dimension, self.metric)
            self._replica.follow()
            view = self._replica.view
            return [view.search(query, k, effort, where=where, attributes=attributes) for query in prepared]
        with self._replica.mutex:  # so that the products' vectors are of the view that is searched
            products, view = self._existing(queries), self._replica.view
        return [
            _best_of_photos(
                [view.search(query, k, effort, where=where, attributes=attributes, exclude=product.id)
                 for query in np.ascontiguousarray(product.vectors)],
                k, nearest_first=self.metric == "l2",
            )
            for product in products
        ]  # fmt: skip

    def count(self, where: str | None = None) -> int:
        self._replica.follow()
        return self._replica.view.count(where)

    def scan(self, *, vectors: bool = False, batch: int = 1024) -> Iterator[Rows]:
        self._replica.follow()
        return _scanned(self._replica.view, vectors=vectors, batch=batch)

    def sample(self, count: int, where: str | None = None) -> Rows:
        self._replica.follow()
        places = {layer.id(row): (layer, row) for layer, row in self._replica.view.random_rows(count, where)}
        return _rows_at([*places.values()])

    def stats(self) -> Stats:
        self._replica.follow()
        with self._replica.mutex:
            state, view = self._replica.state, self._replica.view
            entries = [
                {
                    "digest": layer.segment.digest[:12],
                    "kernel": layer.segment.kind,
                    "photos": layer.rows,
                    "deleted": popcount(layer.deleted),
                    "changed": len(layer.patches),
                    "bytes": layer.segment.bytes,
                }
                for layer in state.segments
            ]
            details: dict[str, object] = {
                "generation": state.manifest.generation,
                "segments": entries,
                "bytes": self._replica.store.size_bytes(),
                "log_bytes": state.log.size(),
                "tail_photos": len(state.tail.live()),
                "snapshots": list(self._replica.store.snapshots()),
                "vectors": self.dtype,
            }
            columns = dict(state.schema.columns)
        return Stats(view.count(), view.photos, self.dimension, self.metric, self.embedder, columns, details)

    # --- columns ---

    def drop_column(self, name: str) -> None:
        from . import column_changes

        self._change_columns(lambda state: column_changes.drop(self._replica.store, state, name))

    def rename_column(self, name: str, to: str) -> None:
        from . import column_changes

        self._change_columns(lambda state: column_changes.rename(self._replica.store, state, name, to))

    def retype_column(self, name: str, kind: ColumnType, *, clear: bool = False) -> int:
        from . import column_changes

        return self._change_columns(
            lambda state: column_changes.retype(self._replica.store, state, name, kind, clear=clear)
        )

    def _change_columns(self, change: Callable[[State], T]) -> T:
        replica = self._replica
        with replica.compacting(wait_s=math.inf), replica.writing() as state:
            try:
                return change(replica.seal(state))
            finally:
                replica.reopen()
                replica.store.collect(keep_manifests=replica.keep_manifests, segments=True)

    # --- maintenance ---

    def snapshot(self, name: str) -> None:
        with self._replica.writing() as state:
            state = self._replica.seal(state)
            self._replica.store.keep(name, state.manifest)

    def drop_snapshot(self, name: str) -> None:
        with self._replica.writing():
            self._replica.store.drop(name)

    def restore(self, name: str) -> None:
        """Return to a snapshot, or to a past generation that still exists. Raises NotFound."""
        with self._replica.writing():
            snapshots.restore(self._replica.store, name)
            self._replica.reopen()

    def export(self, path: Path) -> None:
        with self._replica.writing() as state:
            snapshots.export(self._replica.store, self._replica.seal(state).manifest, path)

    def compact(self, *, full: bool = False) -> None:
        self._compactor.compact(full=full)

    def rebuild(self) -> None:
        """Rewrite every segment and its kernel; damaged kernels of snapshots are removed."""
        self._compactor.rebuild()

    def merge_from(self, path: Path) -> None:
        other = Replica(path, "shared", create=None, keep_manifests=self._replica.keep_manifests)
        with closing(other), other.writing() as theirs, self._replica.writing() as state:
            other.seal(theirs)  # only segments can be linked; while the lock is held, none is written or removed
            state = self._replica.seal(state)
            try:
                merging.merge_from(self._replica.store, state, path)
            finally:
                self._replica.reopen()

    def verify(self) -> list[str]:
        with self._replica.mutex:
            self._replica.current()
        return verifying.problems(self._replica.store)  # reads, writes and searches continue

    def close(self) -> None:
        """Close at once: a merge in the background is cancelled. The end of a ``with`` block waits for it."""
        self._compactor.stop()
        self._replica.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, error: object, /, *_: object) -> None:
        if error is None:
            self._compactor.finish()
        else:
            self._compactor.stop()
            with suppress(LykeionError):
                self._replica.discard_unused()
        self.close()

    # --- arguments ---

    def _stored(self, vectors: np.ndarray, rows: int) -> np.ndarray:
        """The vectors as they are stored, in a separate array."""
        prepared = prepared_vectors(vectors, self.dimension, self.metric, rows=rows)
        with np.errstate(over="ignore"):
            stored = prepared.astype(self.dtype, copy=np.may_share_memory(prepared, vectors))
        if not np.isfinite(stored).all():
            raise BatchError("a vector holds values beyond float16; make the index with dtype float32")
        return stored

    def _existing(self, ids: Sequence[str]) -> list[Product]:
        products = self.get(ids, vectors=True)
        for id, product in zip(ids, products, strict=True):
            if product is None:
                raise NotFound(f"{self.path} has no product {id!r}")
        return [product for product in products if product is not None]


def _fitted(
    state: State, attributes: Sequence[Attributes] | None, ids: Sequence[str]
) -> tuple[dict[str, str] | None, list[dict[str, Value]] | None]:
    """The columns if they grow, and the attributes as they are stored. Raises SchemaError."""
    if attributes is None:
        return None, None
    schema = state.schema.extended(attributes, ids)
    columns = None if schema is state.schema else {name: str(kind) for name, kind in schema.columns.items()}
    return columns, schema.coerce(attributes, ids)


def _without_repeats(ids: Sequence[str], photos: Sequence[Photo] | None) -> list[int] | None:
    """Positions of the last row of each (id, photo); None if there are no repeats."""
    if photos is None:
        return None
    last = {(id, photo.name): n for n, (id, photo) in enumerate(zip(ids, photos, strict=True))}
    return None if len(last) == len(ids) else sorted(last.values())


def _scanned(view: View, *, vectors: bool, batch: int) -> Iterator[Rows]:
    for layer, rows, deleted in zip(view.layers, view.rows, view.deleted, strict=True):
        for start in range(0, rows, batch):
            live = [(layer, row) for row in range(start, min(start + batch, rows)) if not bit(deleted, row)]
            if live:
                yield _rows_at(live, vectors=vectors)


def _rows_at(places: Sequence[tuple[Layer, int]], *, vectors: bool = False) -> Rows:
    return Rows(
        [layer.id(row) for layer, row in places],
        [layer.photo(row) for layer, row in places],
        np.stack([layer.vector(row) for layer, row in places]).astype(np.float32) if vectors else None,
        [layer.attributes(row) for layer, row in places],
    )


def _best_of_photos(answers: list[list[Hit]], k: int, *, nearest_first: bool) -> list[Hit]:
    """The answers for a product's photos merged into one list: each product once, with its best score."""
    best: dict[str, Hit] = {}
    for hit in (hit for hits in answers for hit in hits):
        known = best.get(hit.id)
        if known is None or (hit.score < known.score if nearest_first else hit.score > known.score):
            best[hit.id] = hit
    return sorted(best.values(), key=lambda hit: hit.score if nearest_first else -hit.score)[:k]
