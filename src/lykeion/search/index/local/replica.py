"""One process's copy of an index: its state in memory, kept up to date with the directory.

Two locks in one process: the gate, for one writing thread at a time, and the mutex, which guards the state and is
never held while waiting for another process. The writer lock between processes (a file) is taken between the two.
"""

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lykeion.core import LockError, os_reason
from lykeion.search.index.errors import (
    CorruptIndex,
    EmbedderMismatch,
    IndexFormatError,
    IndexLocked,
    IndexReadOnly,
    IndexReplaced,
    StorageError,
)
from lykeion.search.index.local.disk.store import Identity, Store
from lykeion.search.index.local.disk.writer_lock import WriterLock
from lykeion.search.index.local.memory.state import State
from lykeion.search.index.local.memory.view import MaskCache, View
from lykeion.search.index.protocol import Mode

from .seal import seal

_FOLLOW_S = 0.1
"""A reader checks for other processes' writes at most this often; they are guaranteed to be seen within 1 s."""
_TURN_WAIT_S = 10.0
"""How long to wait for one write of another process; a process that holds the lock until it closes is not awaited."""
_OPEN_TRIES = 20


class Replica:
    """The state, the view that searches use, and the writer lock. Raises as ``open_index`` does."""

    def __init__(
        self, path: Path, mode: Mode, *, create: Identity | None, keep_manifests: int, follow: bool = True
    ) -> None:
        self.path, self.mode, self.keep_manifests = path, mode, keep_manifests
        self._follows = follow and mode != "w"
        self.store = Store(path)
        self.mutex, self._gate = threading.RLock(), threading.RLock()
        self._closed = False
        self._lock = WriterLock(path / "LOCK")
        self._made = self._directory_made = False
        if create is not None and mode != "r" and not self.store.exists():
            self._create(create)
        self.identity = self.store.identity()
        _check_identity(path, self.identity, create)
        self._masks = MaskCache()
        self.state = self._open()
        self.view: View = self.state.view()
        self._followed = time.monotonic()
        if mode == "w":
            self._lock.take(wait_s=_TURN_WAIT_S, session=True)
            with self.mutex:
                self._catch_up()

    @contextmanager
    def writing(self) -> Iterator[State]:
        """Hold the writer lock, with all writes of other processes applied."""
        self._refuse_reader()
        with self._gate:
            if self._closed:
                raise IndexFormatError(f"{self.path} was closed; open it again")
            taken = not self._lock.held
            if taken:
                self._lock.take(wait_s=_TURN_WAIT_S)
            try:
                with self.mutex:
                    if taken:
                        self._catch_up()
                    yield self.state
            except OSError as error:
                raise StorageError(os_reason(error, self.path)) from error
            finally:
                if taken:
                    self._lock.release()

    def publish(self) -> None:
        """Make the writes visible to searches."""
        self.view = self.state.view()

    def seal(self, state: State) -> State:
        """Write what is in memory to a segment and overlays, and start a new log. Only inside ``writing``. Returns
        the state after that."""
        if seal(self.store, state):
            self.reopen()
            self.collect(keep_manifests=self.keep_manifests)
        return self.state

    def collect(self, *, keep_manifests: int) -> None:
        """Remove unused files, but no segments during a compaction. Only inside ``writing``."""
        with self.compacting() as alone:
            self.store.collect(keep_manifests=keep_manifests, segments=alone)

    @contextmanager
    def compacting(self, *, wait_s: float = 0.0) -> Iterator[bool]:
        """Whether, within ``wait_s`` seconds, this is the only compaction of the index; stays so in the context."""
        self._refuse_reader()
        lock = WriterLock(self.path / "COMPACTING")
        try:
            lock.take(wait_s=wait_s)
        except IndexLocked:
            yield False
            return
        try:
            yield True
        finally:
            lock.release()

    def _refuse_reader(self) -> None:
        if self.mode == "r":
            raise IndexReadOnly(f"{self.path} is open for reading only")

    def follow(self) -> None:
        """Apply writes of other processes, if it is time to check for them."""
        if not self._follows or time.monotonic() - self._followed < _FOLLOW_S:
            return
        if self.mutex.acquire(blocking=False):  # the holder is writing, and publishes the new view itself
            try:
                self.current()
            finally:
                self.mutex.release()

    def current(self) -> State:
        """The state with all writes of other processes. Requires the mutex."""
        if self._follows and not self._lock.held:
            try:
                self._follow()
            except OSError as error:
                raise StorageError(f"{os_reason(error, self.path)}; was the index moved or unmounted?") from error
        self._followed = time.monotonic()  # not after an error, which persists until it is fixed
        return self.state

    def _follow(self) -> None:
        if self.store.stamp() != self.state.stamp:
            self.reopen()
        elif self.state.log.size() < self.state.log.position:
            self.reopen()  # a write that was seen here failed to reach the disk and was undone
        elif self.state.log.size() > self.state.log.position and self.state.follow():
            self.publish()

    def reopen(self, *, afresh: bool = False) -> None:
        """Read the current manifest and its log; ``afresh``: also reopen the segments that are open."""
        if self.store.identity() != self.identity:
            raise IndexReplaced(f"{self.path} was replaced by another index, of other vectors: open it again")
        old, self.state = self.state, self._open(None if afresh else self.state)
        old.log.close()
        self.publish()

    def close(self) -> None:
        with self.mutex:
            self._closed = True
            self.state.log.close()
            self._lock.release()

    def _catch_up(self) -> None:
        if self.store.stamp() != self.state.stamp:
            self.reopen()
        elif self.state.follow():
            self.publish()
        self.state.log.drop_torn_end()

    def discard_unused(self) -> None:
        """Remove the index if this replica created it and nothing was ever written to it."""
        if self._made:
            with self.writing() as state:
                if state.manifest.generation == 1 and state.log.empty:
                    self._remove()

    def _remove(self) -> None:
        """With everything else in the directory, such as thumbnails, if that was created for the index."""
        if self._directory_made:
            shutil.rmtree(self.path, ignore_errors=True)
        else:
            with suppress(OSError):
                self.store.remove()

    def _create(self, identity: Identity) -> None:
        self._directory_made = not self.path.exists()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock.take(wait_s=_TURN_WAIT_S)
            if not self.store.exists():
                self._made = True
                self.store = Store.create(self.path, identity)
        except (OSError, LockError) as error:
            if self._made or self._directory_made:
                self._remove()
            if isinstance(error, LockError):
                raise
            raise StorageError(os_reason(error, self.path)) from error
        finally:
            self._lock.release()

    def _open(self, reuse: State | None = None) -> State:
        for attempt in range(_OPEN_TRIES):
            try:
                return State(self.store, self.identity, self._masks, reuse)
            except FileNotFoundError as error:  # removed by compaction between reading the manifest and opening
                if attempt == _OPEN_TRIES - 1:
                    raise CorruptIndex(f"{error.filename} is missing; `lykeion index restore` goes back") from error
                time.sleep(0.01 * attempt)
        raise AssertionError


def _check_identity(path: Path, found: Identity, wanted: Identity | None) -> None:
    if wanted is None:
        return
    if wanted.embedder and found.embedder and wanted.embedder != found.embedder:
        raise EmbedderMismatch.of(path, "embedder", found.embedder, wanted.embedder)
    if wanted.dimension != found.dimension:
        raise EmbedderMismatch.of(path, "dimension", found.dimension, wanted.dimension)
