"""From photos to a durable index: list, compare, read, decode, embed, write.

One thread per core reads, decodes and embeds photos one by one, all outside the interpreter's lock. At the same time,
the calling thread lists the source and writes finished batches, in order. Only a few batches are in flight, so memory
does not grow with the catalogue.
"""

import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import ExitStack, closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from lykeion.core import CONSOLE, Progress, Reporter, stop_here, stop_signals
from lykeion.search.embedder import Embedder
from lykeion.search.embedder_engine import AUTO, DEFAULT_ENGINE, MEASURED_FROM, EngineWish
from lykeion.search.index import Index, open_index
from lykeion.search.opening import check_embedder
from lykeion.search.thumbnails import IN_INDEX, ThumbnailPlace, Thumbnails

from .batch_writer import BatchWriter
from .empty_cells import Empty
from .listing import NamePatterns, Pairs, Shard
from .photo_source import Failure, ListedPhoto, PhotoSource, Skipped, SourceError
from .photo_workers import PhotoWorkers, Taken
from .report import EntryLog, IngestReport
from .sources import open_source

BATCH = 256
"""Photos per write. A crash loses at most three such batches, which the next run repeats."""
IN_FLIGHT = 3

_NO_PHOTO = "the source lists no photo at all"

_Batch: TypeAlias = "list[tuple[ListedPhoto, Future[Taken]]]"


@dataclass(frozen=True, kw_only=True)
class IngestOptions:
    """Options of ``add``. With ``sync``, photos that are stored but no longer listed are deleted."""

    sync: bool = False
    shard: Shard | None = None
    """Limits the run, and what ``sync`` deletes, to this part of the catalogue."""
    reembed: Sequence[str] = ()
    """Shell patterns: photos with these names are embedded again, even if their bytes are unchanged."""
    thumbnails: ThumbnailPlace = IN_INDEX
    workers: int | None = None
    """Threads that embed; by default one per core."""
    failures: str | Path | None = None
    """The file that lists failures; by default ``<index>.failures.jsonl`` next to a local index."""
    skipped: str | Path | None = None
    """The file that lists skipped files; by default none."""
    engine: str = DEFAULT_ENGINE
    """What runs the network; ``auto``: the fastest, by measurement if many photos are listed."""
    empty: Empty = "keep"
    """The effect of an empty cell if another row of the product gives the attribute."""


def add(
    source: str | Path | PhotoSource,
    index: str | Path,
    options: IngestOptions = IngestOptions(),
    *,
    embedder: Embedder | str | Path | None = None,
    reporter: Reporter = CONSOLE,
    **opening: Any,
) -> IngestReport:
    """Add the photos of a folder or manifest to an index, which is created if missing.

    A photo whose bytes are unchanged is not embedded again, unless ``options.reembed`` matches its name, so an
    interrupted run resumes. Attributes given are set (for nulls see ``Empty``), others stay. A photo that cannot be
    used does not stop the run: it is counted, and listed in the file of failures. ``open_source`` opens a manifest
    whose types or root must be declared; ``opening`` are options of ``open_index``. Raises SourceError,
    EmbedderMismatch, IndexLocked, and Interrupted after SIGINT or SIGTERM, once finished photos have been written.
    """
    started = time.monotonic()
    photos = open_source(source) if isinstance(source, str | Path) else source
    if not isinstance(embedder, Embedder):
        embedder = Embedder.load(embedder, _wish(options.engine, photos, reporter))
    model = embedder
    with ExitStack() as stack:
        store = stack.enter_context(
            open_index(index, "w", dimension=model.dimension, embedder=model.digest, **opening)
        )
        check_embedder(store, model)
        file = options.thumbnails.of(index)
        small = stack.enter_context(closing(Thumbnails(file))) if file else None
        failures = stack.enter_context(EntryLog[Failure](_failures_path(index, options.failures)))
        skipped = stack.enter_context(EntryLog[Skipped](Path(options.skipped) if options.skipped else None))
        crew = stack.enter_context(PhotoWorkers(model, threads=options.workers, thumbnails=small is not None))
        run = _Run(store, small, crew, failures, skipped, options)
        warnings = photos.fit(store.stats().columns)
        for warning in warnings:
            reporter.notice(warning)
        total = photos.count() // (options.shard.count if options.shard else 1)
        with stop_signals() as stop, reporter.progress("adding", total or None, unit="photos") as progress:
            run.take_all(photos, progress, stop)
            stop_here(f"{run.writer.added:,} photos were added to {index} and are safe")
            run.writer.write_ahead(lambda: run.listed_again(photos))
            run.writer.clear_empty(lambda: run.listed_again(photos))
        if options.sync:
            run.delete_missing()
    return IngestReport(
        added=run.writer.added,
        unchanged=run.writer.unchanged,
        updated=run.writer.updated,
        failed=failures.count,
        deleted=run.deleted,
        skipped=skipped.count,
        seconds=time.monotonic() - started,
        failures=failures.written,
        skipped_list=skipped.written,
        first_failures=failures.first,
        first_skipped=skipped.first,
        not_added="" if run.any_listed else _NO_PHOTO,
        not_synced=run.not_synced,
        not_reembedded=run.again.unmatched,
        warnings=warnings,
    )


def _wish(engine: str, photos: PhotoSource, reporter: Reporter) -> EngineWish:
    measure = engine == AUTO and photos.count() >= MEASURED_FROM
    return EngineWish(engine, measure=measure, measuring=reporter.notice)


class _Run:
    """One run of ``add``."""

    def __init__(
        self,
        index: Index,
        thumbnails: Thumbnails | None,
        workers: PhotoWorkers,
        failures: EntryLog[Failure],
        skipped: EntryLog[Skipped],
        options: IngestOptions,
    ) -> None:
        self.writer = BatchWriter(index, thumbnails, failures, options.empty)
        self.deleted, self.any_listed, self.not_synced = 0, False, ""
        self._index, self._thumbnails, self._workers = index, thumbnails, workers
        self._failures, self._skipped = failures, skipped
        self._shard, self._listed = options.shard, Pairs() if options.sync else None
        self.again = NamePatterns(options.reembed)
        self._unknown, self._taken = 0, 0

    def take_all(self, photos: PhotoSource, progress: Progress, stop: threading.Event) -> None:
        pending: deque[_Batch] = deque()
        items = self._items(photos, progress)
        problem: SourceError | None = None
        try:
            while (batch := list(islice(items, BATCH))) and not stop.is_set():
                pending.append(self._begin(batch))
                if len(pending) == IN_FLIGHT:
                    self._finish(pending.popleft(), progress, stop)
        except SourceError as error:  # photos listed before the error are still added
            problem = error
        while pending:
            self._finish(pending.popleft(), progress, stop)
        if problem:
            raise problem

    def delete_missing(self) -> None:
        """Delete photos that are stored but not listed; none if the listing may be incomplete."""
        assert self._listed is not None
        if not self.any_listed:
            self.not_synced = _NO_PHOTO
        elif self._unknown:
            entries = "1 entry" if self._unknown == 1 else f"{self._unknown:,} entries"
            self.not_synced = f"{entries} of the source could not be read"
        if self.not_synced:
            return
        for rows in self._index.scan(batch=4096):
            names = [photo.name for photo in rows.photos]
            missing = self._listed.missing(rows.ids, names)
            ours = [n for n in np.flatnonzero(missing) if self._shard is None or self._shard.holds(rows.ids[n])]
            if ours:
                ids, gone = [rows.ids[n] for n in ours], [names[n] for n in ours]
                self.deleted += self._index.delete(ids, photos=gone)
                if self._thumbnails:
                    self._thumbnails.delete(ids, photos=gone)

    def _items(self, photos: PhotoSource, progress: Progress) -> Iterator[ListedPhoto]:
        """The source's photos of this shard. Other entries go to the logs; listed photos are recorded for
        ``delete_missing``."""
        for entry in photos:
            if isinstance(entry, Skipped):
                self._skipped.add(entry)
                continue
            self.any_listed = True
            if not entry.id:
                self._unknown += 1
            elif self._listed is not None:
                self._listed.add(entry.id, entry.photo)
            if self._shard is not None and not self._shard.holds(entry.id):
                continue
            self._taken += 1
            if progress.total is not None:  # an estimate, made without opening files
                progress.total = max(progress.total, self._taken)
            if isinstance(entry, Failure):
                self._failures.add(entry)
                progress.advance()
            else:
                yield entry
        progress.total = self._taken

    def listed_again(self, photos: PhotoSource) -> Iterator[ListedPhoto]:
        for entry in photos:
            if isinstance(entry, ListedPhoto) and (self._shard is None or self._shard.holds(entry.id)):
                yield entry

    def _begin(self, batch: list[ListedPhoto]) -> _Batch:
        known = {
            (product.id, photo.name): photo.digest
            for product in self._index.get(list({item.id for item in batch}))
            if product
            for photo in product.photos
        }
        for item in batch:
            if self.again.match(item.photo or item.id):
                known.pop((item.id, item.photo), None)
        return [(item, self._workers.take(item, known.get((item.id, item.photo), ""))) for item in batch]

    def _finish(self, batch: _Batch, progress: Progress, stop: threading.Event) -> None:
        """Wait for a batch and write it; after ``stop`` is set, only its finished photos."""
        taken: list[tuple[ListedPhoto, Taken | Exception]] = []
        for item, future in batch:
            if stop.is_set():
                future.cancel()
            try:
                taken.append((item, future.result()))
            except CancelledError:
                continue
            except Exception as error:  # an error in a library must not stop the other photos either
                taken.append((item, error))
            progress.advance()
        self.writer.write(taken)


def _failures_path(index: str | Path, failures: str | Path | None) -> Path | None:
    if failures is not None:
        return Path(failures)
    return None if "://" in str(index) else Path(f"{str(index).rstrip('/')}.failures.jsonl")
