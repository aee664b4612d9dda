"""The embedded index: a directory that one process writes and any number read.

Writes go to a log and to memory, and are on disk and visible when a call returns; from time to time what is in memory
becomes a segment, and compaction merges segments in the background. See docs/decisions/ for the design.
"""

import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from lykeion.core import LykeionError

from . import compaction, sealing
from .batch import BatchError, check_count, check_ids, named_photos, prepared_vectors
from .errors import CorruptIndex, EmbedderMismatch, IndexFormatError, NotFound, WhereError
from .expression import Expression
from .kernel import Effort
from .layers import Located, bit, popcount
from .lock import FileLock
from .log import Operation
from .protocol import Attributes, Hit, Metric, Photo, Product, Rows, Stats, Value
from .state import State
from .store import Identity, Store
from .view import MaskCache, View
from .where import check, parse

Mode = Literal["r", "w", "shared"]
Durability = Literal["fsync", "os"]

_FOLLOW_S = 0.1
"""A reader looks for other processes' writes at most this often; they are promised within 1 s."""
_TURN_WAIT_S = 10.0
"""How long one write of another process is waited for; one that holds the lock until it closes is not."""
_COMPACTOR_WAIT_S = 1.0
_OPEN_TRIES = 20
_SEAL_ROWS = 8_192
_SEAL_BYTES = 64 << 20
_SEAL_PATCHES = 20_000


class StorageError(LykeionError):
    """The disk refused a write; nothing of the write is kept."""


@dataclass
class _Write:
    """A write on its way into the log, and what came of it."""

    prepare: Callable[[State], Operation]
    done: bool = False
    result: int = 0
    error: BaseException | None = None


@dataclass
class _Queue:
    lock: threading.Lock = field(default_factory=threading.Lock)
    writes: list[_Write] = field(default_factory=list)


class LocalIndex:
    """An Index (lykeion.search.index.protocol) in a directory. Open one with ``open_index``.

    ``durability`` "os" leaves the time of writing to the operating system: a killed process still loses nothing, a
    power cut may lose the last seconds. ``effort`` fixes how hard searches try. ``background`` compacts in a thread
    while the index is open for writing. ``keep_manifests`` past states can be restored by generation.
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
    ) -> None:
        self.path, self._mode, self._durable = path, mode, durability == "fsync"
        self._effort, self._background = effort, background and mode != "r"
        self._keep_manifests, self._seal_rows = keep_manifests, seal_rows
        self._store = Store(path)
        self._gate = threading.RLock()  # one thread of this process writes at a time; taken before the mutex
        self._mutex = threading.RLock()  # guards the state; never held while waiting for another process
        self._queue, self._committing = _Queue(), threading.Lock()
        self._compactor: threading.Thread | None = None
        self._closing, self._closed = threading.Event(), False
        self._lock = FileLock(path / "LOCK")
        if create is not None and mode != "r" and not self._store.exists():
            self._create(create)
        self.identity = self._store.identity()
        _check_identity(path, self.identity, create)
        self.dimension: int = self.identity.dimension
        self.metric: Metric = self.identity.metric
        self.embedder = self.identity.embedder
        self._masks = MaskCache()
        self._state = self._open_state()
        self._view: View = self._state.view()
        self._followed = time.monotonic()
        if mode == "w":
            self._lock.acquire(wait_s=_TURN_WAIT_S, session=True)
            with self._mutex:
                self._catch_up()

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

        self._write(prepare)

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

        return self._write(prepare) if len(ids) else 0

    def delete(self, ids: Sequence[str], *, photos: Sequence[str] | None = None) -> int:
        check_ids(ids)
        named = None if photos is None else named_photos(ids, [Photo(name) for name in photos])
        return self._write(lambda state: Operation("delete", list(ids), named)) if len(ids) else 0

    # --- reading ---

    def get(self, ids: Sequence[str], *, vectors: bool = False) -> list[Product | None]:
        with self._mutex:
            state = self._followed_state()
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
            raise WhereError(f"k is {k}; ask for one answer or more")
        self._follow()
        view = self._view
        expression = None if where is None else _checked_filter(where, view)
        effort = effort or self._effort
        if isinstance(queries, np.ndarray):
            prepared = prepared_vectors(queries, self.dimension, self.metric)
            return [view.search(query, k, effort, where=expression, attributes=attributes) for query in prepared]
        return [
            _best_of_photos(
                [view.search(query, k, effort, where=expression, attributes=attributes, exclude=product.id)
                 for query in np.ascontiguousarray(product.vectors)],
                k, nearest_first=self.metric == "l2",
            )
            for product in self._existing(queries)
        ]  # fmt: skip

    def count(self, where: str | None = None) -> int:
        self._follow()
        view = self._view
        return view.count(None if where is None else _checked_filter(where, view))

    def scan(self, *, vectors: bool = False, batch: int = 1024) -> Iterator[Rows]:
        self._follow()
        return _rows_of(self._view, vectors=vectors, batch=batch)

    def stats(self) -> Stats:
        self._follow()
        with self._mutex:
            state, view = self._state, self._view
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
                "bytes": self._store.size_bytes(),
                "log_bytes": state.log.size(),
                "tail_photos": len(state.tail.live()),
                "snapshots": list(self._store.snapshots()),
                "vectors": self.identity.dtype,
            }
            columns = {name: str(kind) for name, kind in state.schema.columns.items()}
        return Stats(view.count(), view.photos, self.dimension, self.metric, self.embedder, columns, details)

    # --- upkeep ---

    def snapshot(self, name: str) -> None:
        with self._writing() as state:
            state = self._seal(state)
            self._store.keep(name, state.manifest)

    def drop_snapshot(self, name: str) -> None:
        """Forget a snapshot; its space comes back with the next compaction. Raises NotFound."""
        with self._writing():
            self._store.drop(name)

    def restore(self, name: str) -> None:
        """Return to a snapshot, or to a past generation that is still kept. Raises NotFound."""
        with self._writing():
            sealing.restore(self._store, name)
            self._reopen()

    def export(self, path: Path) -> None:
        """An independent copy of the present state: an index of its own. ``path`` must not exist."""
        with self._writing() as state:
            sealing.export(self._store, self._seal(state).manifest, path)

    def compact(self, *, full: bool = False) -> None:
        """Do what compaction is due; ``full`` merges everything into as few segments as there can be."""
        with self._writing() as state:
            self._seal(state)
        while self._compact_once(full=full, wait_s=math.inf):
            full = False
        with self._writing():
            self._collect(keep_manifests=1)

    def rebuild(self) -> None:
        """Write every segment anew, and with it its kernel; snapshots go without a kernel that is damaged."""
        with self._writing() as state:
            digests = [layer.segment.digest for layer in self._seal(state).segments]
        for digest in digests:
            with compaction.only_one(self.path / "COMPACTING", wait_s=math.inf):
                self._merge(compaction.Merge((digest,)))
        with self._writing() as state:
            sealing.drop_damaged_kernels(self._store, {layer.segment.digest for layer in state.segments})

    def merge_from(self, path: Path) -> None:
        """Take over the segments of another index by hard links; its products replace ours of the same id."""
        with self._writing() as state:
            state = self._seal(state)
            try:
                sealing.merge_from(self._store, state, path)
            finally:
                self._reopen()

    def verify(self) -> list[str]:
        """Read every byte; one line for each that differs from what was written."""
        with self._mutex:
            state = self._followed_state()
            return sealing.problems(self._store, state)

    def close(self) -> None:
        self._closing.set()
        if self._compactor is not None:
            self._compactor.join()
        with self._mutex:
            self._closed = True
            self._state.log.close()
            self._lock.release()

    def __enter__(self) -> "LocalIndex":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- how writing works ---

    def _write(self, prepare: Callable[[State], Operation]) -> int:
        """Group commit: whoever comes first writes for all that came meanwhile, in one frame and one sync."""
        write = _Write(prepare)
        with self._queue.lock:
            self._queue.writes.append(write)
        with self._committing:
            if not write.done:
                with self._queue.lock:
                    group, self._queue.writes = self._queue.writes, []
                self._commit(group)
        if write.error is not None:
            raise write.error
        return write.result

    def _commit(self, group: list[_Write]) -> None:
        try:
            with self._writing() as state:
                operations: list[tuple[_Write, Operation]] = []
                schema = state.schema
                try:
                    for write in group:
                        try:
                            operations.append((write, write.prepare(state)))
                            state.schema = _schema_after(state, operations[-1][1])
                        except LykeionError as error:
                            write.error = error
                finally:
                    state.schema = schema
                if operations:
                    self._log_and_apply(state, operations)
        except BaseException as error:
            for write in group:
                write.error = write.error or error
            if not isinstance(error, Exception):
                raise
        finally:
            for write in group:
                write.done = True

    def _log_and_apply(self, state: State, operations: list[tuple[_Write, Operation]]) -> None:
        rows = sum(len(operation.ids) for _, operation in operations if operation.vectors is not None)
        bulk = rows >= self._seal_rows
        if not bulk:  # a bulk write goes straight into a segment, which is as durable and is written once
            state.log.append([operation for _, operation in operations], durable=self._durable)
        try:
            for write, operation in operations:
                write.result = state.apply(operation)
            tail_bytes = state.tail.rows * state.tail.vectors.itemsize * self.dimension
            full = state.tail.rows >= self._seal_rows or tail_bytes >= _SEAL_BYTES
            if bulk or full or state.pending_patches >= _SEAL_PATCHES:
                self._seal(state)
                self._start_compactor()
            else:
                self._view = state.view()
        except OSError:
            self._reopen()
            if bulk:
                raise  # otherwise the write is in the log, and a segment can wait until the disk has room
        except BaseException:
            self._reopen()  # what is in memory may be half of the write; the disk has all or nothing
            raise

    @contextmanager
    def _writing(self) -> Iterator[State]:
        """Hold the writer lock, with all that other processes wrote applied."""
        if self._mode == "r":
            raise IndexFormatError(f"{self.path} is open for reading only")
        with self._gate:
            if self._closed:
                raise IndexFormatError(f"{self.path} was closed; open it again")
            taken = not self._lock.held
            if taken:
                self._lock.acquire(wait_s=_TURN_WAIT_S)
            try:
                with self._mutex:
                    if taken:
                        self._catch_up()
                    yield self._state
            except OSError as error:
                raise StorageError(f"{self.path}: {error.strerror or error}") from error
            finally:
                if taken:
                    self._lock.release()

    def _catch_up(self) -> None:
        if self._store.stamp() != self._state.stamp:
            self._reopen()
        elif self._state.follow():
            self._view = self._state.view()
        self._state.log.drop_torn_end()

    def _seal(self, state: State) -> State:
        """Put what is in memory into a segment and overlays, and start a new log."""
        if sealing.seal(self._store, state, self.identity):
            self._reopen()
            self._collect(keep_manifests=self._keep_manifests)
        return self._state

    def _collect(self, *, keep_manifests: int) -> None:
        with compaction.only_one(self.path / "COMPACTING") as alone:
            self._store.collect(keep_manifests=keep_manifests, segments=alone)

    def _create(self, identity: Identity) -> None:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(wait_s=_TURN_WAIT_S)
            if not self._store.exists():
                self._store = Store.create(self.path, identity)
        except OSError as error:
            raise StorageError(f"{self.path}: {error.strerror or error}") from error
        finally:
            self._lock.release()

    # --- following other processes ---

    def _follow(self) -> None:
        now = time.monotonic()
        if now - self._followed < _FOLLOW_S or self._mode == "w":
            return
        if self._mutex.acquire(blocking=False):  # who holds it is writing, and publishes the new view itself
            try:
                self._followed_state()
            finally:
                self._mutex.release()

    def _followed_state(self) -> State:
        self._followed = time.monotonic()
        if not self._lock.held:
            if self._store.stamp() != self._state.stamp:
                self._reopen()
            elif self._state.log.size() < self._state.log.position:
                self._reopen()  # a write that we had seen failed to reach the disk and was taken back
            elif self._state.log.size() > self._state.log.position and self._state.follow():
                self._view = self._state.view()
        return self._state

    def _reopen(self, *, afresh: bool = False) -> None:
        """Read the manifest in force and its log; ``afresh``: open also those segments again that are open."""
        old, self._state = self._state, self._open_state(None if afresh else self._state)
        old.log.close()
        self._view = self._state.view()

    def _open_state(self, reuse: State | None = None) -> State:
        for attempt in range(_OPEN_TRIES):
            try:
                return State(self._store, self.identity, self._masks, reuse)
            except FileNotFoundError as error:  # compacted away between reading the manifest and opening
                if attempt == _OPEN_TRIES - 1:
                    raise CorruptIndex(f"{error.filename} is missing; `lykeion index restore` goes back") from error
                time.sleep(0.01 * attempt)
        raise AssertionError

    # --- compaction ---

    def _start_compactor(self) -> None:
        if self._background and (self._compactor is None or not self._compactor.is_alive()):
            self._compactor = threading.Thread(target=self._compact_in_background, daemon=True, name="compaction")
            self._compactor.start()

    def _compact_in_background(self) -> None:
        with suppress(LykeionError):  # another process writes, or the disk is full: a later write starts it again
            while not self._closing.is_set() and self._compact_once(wait_s=_COMPACTOR_WAIT_S):
                pass

    def _compact_once(self, *, full: bool = False, wait_s: float) -> bool:
        """One merge that is due; whether there was one. Waits so long for another compaction to end."""
        with compaction.only_one(self.path / "COMPACTING", wait_s=wait_s) as alone:
            if not alone:
                return False
            with self._mutex:
                sizes = [compaction.size_of(layer) for layer in self._followed_state().segments]
            merge = compaction.plan(
                sizes, policy=self.identity.compaction, now=time.time(), full=full, kernel=self.identity.kernel
            )
            return merge is not None and self._merge(merge)

    def _merge(self, merge: compaction.Merge) -> bool:
        """Carry out a merge, as the only compaction; False if the index returned to an earlier state meanwhile."""
        with self._mutex:
            layers = [layer for layer in self._state.segments if layer.segment.digest in merge.segments]
            before = [compaction.Source(layer, self._state.schema) for layer in layers]
        try:
            # Only this gives way: what holds the lock must not be kept from the processor by what waits for it.
            with ThreadPoolExecutor(1, initializer=compaction.lower_priority) as low:
                built = low.submit(compaction.build, self._store, before, self.identity, self._closing).result()
        except OSError as error:
            raise StorageError(f"{self.path}: {error.strerror or error}") from error
        if built is None:
            return False
        with self._writing() as state:
            state = self._seal(state)
            if not compaction.swap(self._store, state, before, built):
                return False
            self._reopen(afresh=built.digest in merge.segments)
            self._store.collect(keep_manifests=self._keep_manifests, segments=True)
        return True

    # --- arguments ---

    def _stored(self, vectors: np.ndarray, rows: int) -> np.ndarray:
        prepared = prepared_vectors(vectors, self.dimension, self.metric, rows=rows)
        with np.errstate(over="ignore"):
            stored = prepared.astype(self.identity.dtype)
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


def _schema_after(state: State, operation: Operation) -> Any:
    return state.schema if operation.columns is None else type(state.schema).from_json(operation.columns)  # pyright: ignore


def _without_repeats(ids: Sequence[str], photos: Sequence[Photo] | None) -> list[int] | None:
    """Positions of the last row of each (id, photo); None if none stands twice."""
    if photos is None:
        return None
    last = {(id, photo.name): n for n, (id, photo) in enumerate(zip(ids, photos, strict=True))}
    return None if len(last) == len(ids) else sorted(last.values())


def _rows_of(view: View, *, vectors: bool, batch: int) -> Iterator[Rows]:
    for layer, rows, deleted in zip(view.layers, view.rows, view.deleted, strict=True):
        for start in range(0, rows, batch):
            live = [row for row in range(start, min(start + batch, rows)) if not bit(deleted, row)]
            if live:
                yield Rows(
                    [layer.id(row) for row in live],
                    [layer.photo(row) for row in live],
                    np.stack([layer.vector(row) for row in live]).astype(np.float32) if vectors else None,
                    [layer.attributes(row) for row in live],
                )


def _checked_filter(where: str, view: View) -> Expression:
    expression = parse(where)
    check(expression, view.schema)
    return expression


def _best_of_photos(answers: list[list[Hit]], k: int, *, nearest_first: bool) -> list[Hit]:
    """One list from those of a product's photos: each product once, with its best score."""
    best: dict[str, Hit] = {}
    for hit in (hit for hits in answers for hit in hits):
        known = best.get(hit.id)
        if known is None or (hit.score < known.score if nearest_first else hit.score > known.score):
            best[hit.id] = hit
    return sorted(best.values(), key=lambda hit: hit.score if nearest_first else -hit.score)[:k]


def _check_identity(path: Path, found: Identity, wanted: Identity | None) -> None:
    if wanted is None:
        return
    if wanted.embedder and found.embedder and wanted.embedder != found.embedder:
        raise EmbedderMismatch(
            f"{path} holds vectors of the embedder {found.embedder[:19]}…, not of {wanted.embedder[:19]}…; "
            "name that one, or make a new index"
        )
    if wanted.dimension != found.dimension:
        raise EmbedderMismatch(f"{path} holds vectors of {found.dimension}, not of {wanted.dimension}")
