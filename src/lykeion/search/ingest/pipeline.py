"""Photos in, a durable index out: list, compare, read, decode, embed, write.

One thread a core takes photo after photo through reading, decoding and embedding, which all happen outside the
interpreter's lock. The calling thread meanwhile lists the source and writes finished batches, in order. A few batches
are in flight, so memory does not grow with the catalogue.
"""

import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import ExitStack, closing
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from lykeion.core import CONSOLE, LykeionError, Progress, Reporter, stop_here, stop_signals
from lykeion.search.embedder import Embedder
from lykeion.search.index import BatchError, Index, Photo, SchemaError, open_index
from lykeion.search.opening import check_embedder
from lykeion.search.thumbnails import IN_INDEX, ThumbnailPlace, Thumbnails
from lykeion.vision import PhotoError

from .listing import Listed, NamePatterns, Shard
from .photo_source import Failure, ListedPhoto, PhotoSource, SourceError
from .photo_workers import PhotoWorkers, Taken
from .report import FailureLog, IngestReport
from .sources import open_source

BATCH = 256
"""Photos a write. What is lost by a crash, and done again by the next run, is at most three such batches."""
IN_FLIGHT = 3

_Batch: TypeAlias = "list[tuple[ListedPhoto, Future[Taken]]]"


@dataclass(frozen=True, kw_only=True)
class IngestOptions:
    """What ``add`` may be told. With ``sync``, what is stored but no longer listed is deleted."""

    sync: bool = False
    shard: Shard | None = None
    """Only this part of the source, and of what ``sync`` deletes."""
    reembed: Sequence[str] = ()
    """Shell patterns: photos of these names are embedded again, also where their bytes are those stored."""
    thumbnails: ThumbnailPlace = IN_INDEX
    workers: int | None = None
    """Threads that embed; by default one a core."""
    failures: str | Path | None = None
    """The file that lists what failed; by default ``<index>.failures.jsonl`` beside a local index."""


def add(
    source: str | Path | PhotoSource,
    index: str | Path,
    options: IngestOptions = IngestOptions(),
    *,
    embedder: Embedder | str | Path | None = None,
    reporter: Reporter = CONSOLE,
    **opening: Any,
) -> IngestReport:
    """Take the photos of a folder or manifest into an index, which is made if it is not there.

    A photo whose bytes are those stored is not embedded again, unless ``options.reembed`` names it, so an interrupted
    run resumes. Attributes given are set (a null clears), others stay. A photo that cannot be used stops nothing: it
    is counted, and listed in the file of failures. ``open_source`` opens a manifest whose types or root must be
    declared; ``opening`` are options of ``open_index``. Raises SourceError, EmbedderMismatch, IndexLocked, and
    Interrupted after SIGINT or SIGTERM, when what was finished has been written.
    """
    started = time.monotonic()
    photos = open_source(source) if isinstance(source, str | Path) else source
    model = embedder if isinstance(embedder, Embedder) else Embedder.load(embedder)
    with ExitStack() as stack:
        store = stack.enter_context(
            open_index(index, "w", dimension=model.dimension, embedder=model.digest, **opening)
        )
        check_embedder(store, model)
        file = options.thumbnails.of(index)
        small = stack.enter_context(closing(Thumbnails(file))) if file else None
        log = stack.enter_context(FailureLog(_failures_path(index, options.failures)))
        crew = stack.enter_context(PhotoWorkers(model, threads=options.workers, thumbnails=small is not None))
        again = NamePatterns(options.reembed)
        run = _Run(store, small, crew, log, options.shard, Listed() if options.sync else None, again)
        total = photos.count() // (options.shard.count if options.shard else 1)
        with stop_signals() as stop, reporter.progress("adding", total or None, unit="photos") as progress:
            run.take_all(photos, progress, stop)
            stop_here(f"{run.report.added:,} photos were added to {index} and are safe")
        if options.sync:
            run.delete_missing()
    report = run.report
    report.failed, report.first_failures = log.count, log.first
    report.not_reembedded = again.unmatched
    report.failures = str(log.path) if log.count and log.path else ""
    report.skipped, report.seconds = photos.skipped, time.monotonic() - started
    return report


class _Run:
    """One run of ``add``."""

    def __init__(
        self,
        index: Index,
        thumbnails: Thumbnails | None,
        workers: PhotoWorkers,
        log: FailureLog,
        shard: Shard | None,
        listed: Listed | None,
        again: NamePatterns,
    ) -> None:
        self.report = IngestReport()
        self._index, self._thumbnails, self._workers, self._log = index, thumbnails, workers, log
        self._shard, self._listed, self._again = shard, listed, again
        self._any_listed, self._unknown = False, 0

    def take_all(self, photos: PhotoSource, progress: Progress, stop: threading.Event) -> None:
        pending: deque[_Batch] = deque()
        items = self._items(photos)
        problem: SourceError | None = None
        try:
            while (batch := list(islice(items, BATCH))) and not stop.is_set():
                pending.append(self._begin(batch))
                if len(pending) == IN_FLIGHT:
                    self._finish(pending.popleft(), progress, stop)
        except SourceError as error:  # what was listed before the fault is taken nevertheless
            problem = error
        while pending:
            self._finish(pending.popleft(), progress, stop)
        if problem:
            raise problem

    def delete_missing(self) -> None:
        """Delete what is stored but not listed; nothing if the listing may lack something."""
        assert self._listed is not None
        if not self._any_listed:
            self.report.not_synced = "the source lists no photo at all"
        elif self._unknown:
            entries = "1 entry" if self._unknown == 1 else f"{self._unknown:,} entries"
            self.report.not_synced = f"{entries} of the source could not be read"
        if self.report.not_synced:
            return
        for rows in self._index.scan(batch=4096):
            names = [photo.name for photo in rows.photos]
            missing = self._listed.missing(rows.ids, names)
            ours = [n for n in np.flatnonzero(missing) if self._shard is None or self._shard.holds(rows.ids[n])]
            if ours:
                ids, gone = [rows.ids[n] for n in ours], [names[n] for n in ours]
                self.report.deleted += self._index.delete(ids, photos=gone)
                if self._thumbnails:
                    self._thumbnails.delete(ids, photos=gone)

    def _items(self, photos: PhotoSource) -> Iterator[ListedPhoto]:
        """The source's items of this shard. Failures go to the log; the listing is noted for ``delete_missing``."""
        for entry in photos:
            self._any_listed = True
            if not entry.id:
                self._unknown += 1
            elif self._listed is not None:
                self._listed.add(entry.id, entry.photo)
            if self._shard is not None and not self._shard.holds(entry.id):
                continue
            if isinstance(entry, Failure):
                self._log.add(entry)
            else:
                yield entry

    def _begin(self, batch: list[ListedPhoto]) -> _Batch:
        known = {
            (product.id, photo.name): photo.digest
            for product in self._index.get(list({item.id for item in batch}))
            if product
            for photo in product.photos
        }
        for item in batch:
            if self._again.match(item.photo or item.id):
                known.pop((item.id, item.photo), None)
        return [(item, self._workers.take(item, known.get((item.id, item.photo), ""))) for item in batch]

    def _finish(self, batch: _Batch, progress: Progress, stop: threading.Event) -> None:
        """Wait for a batch and write it; once a stop is asked, only what is done of it."""
        items: list[ListedPhoto] = []
        new: list[tuple[ListedPhoto, Taken]] = []
        for item, future in batch:
            if stop.is_set():
                future.cancel()
            try:
                taken = future.result()
            except CancelledError:
                continue
            except Exception as error:  # a fault of a library may not stop the other photos either
                self._fail(item, error)
            else:
                if taken.vector is None:
                    self.report.unchanged += 1
                else:
                    new.append((item, taken))
            items.append(item)
            progress.advance()
        self._write(items, new)

    def _write(self, items: list[ListedPhoto], new: list[tuple[ListedPhoto, Taken]]) -> None:
        """Write new photos, and the attributes of all items; those that failed may still have a new price."""
        added = {item.id for item, _ in new}
        concerned = list(dict.fromkeys(item.id for item in items if item.attributes or item.id in added))
        if not concerned:
            return
        stored = {product.id: product.attributes for product in self._index.get(concerned) if product}
        attributes = {id: dict(stored.get(id, {})) for id in concerned}
        for item in items:
            if item.id in attributes:
                attributes[item.id].update(item.attributes or {})
        self._upsert(sorted(new, key=lambda row: row[0].id), attributes)
        changed = {
            id: {name: value for name, value in attributes[id].items() if value != before.get(name)}
            for id, before in stored.items()
            if id not in added
        }
        self._update([item for item in items if changed.get(item.id)], changed)

    def _upsert(self, new: list[tuple[ListedPhoto, Taken]], attributes: Mapping[str, Mapping[str, Any]]) -> None:
        if not new:
            return
        if self._thumbnails:  # before the photo, which would else count as done without one
            self._thumbnails.put_many(
                (item.id, item.photo, taken.thumbnail) for item, taken in new if taken.thumbnail is not None
            )
        try:
            self._index.upsert(
                [item.id for item, _ in new],
                np.stack([taken.vector for _, taken in new if taken.vector is not None]),
                [attributes[item.id] for item, _ in new],
                photos=[Photo(item.photo, taken.digest) for item, taken in new],
            )
            self.report.added += len(new)
        except (SchemaError, BatchError) as error:
            products = [list(rows) for _, rows in groupby(new, key=lambda row: row[0].id)]
            if len(products) == 1:
                for item, _ in new:
                    self._fail(item, error)
            else:  # one of them is at fault
                for rows in products:
                    self._upsert(rows, attributes)

    def _update(self, items: list[ListedPhoto], changed: Mapping[str, Mapping[str, Any]]) -> None:
        products = {item.id: item for item in items}
        if not products:
            return
        try:
            self.report.updated += self._index.update(list(products), [changed[id] for id in products])
        except SchemaError as error:
            if len(products) == 1:
                self._fail(items[0], error)
            else:
                for item in products.values():
                    self._update([item], changed)

    def _fail(self, item: ListedPhoto, error: Exception) -> None:
        if isinstance(error, PhotoError):
            cause = error.cause
        elif isinstance(error, OSError):
            cause = error.strerror or str(error)
        else:
            cause = str(error) if isinstance(error, LykeionError) else f"{type(error).__name__}: {error}"
        self._log.add(Failure(item.id, item.photo, item.photo or item.id, " ".join(cause.split())[:500]))


def _failures_path(index: str | Path, failures: str | Path | None) -> Path | None:
    if failures is not None:
        return Path(failures)
    return None if "://" in str(index) else Path(f"{str(index).rstrip('/')}.failures.jsonl")
