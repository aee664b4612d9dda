"""One process's copy of an index: its state in memory, kept in step with the directory.

Two locks in one process: the gate, for one writing thread at a time, and the mutex, which guards the state and is
never held while another process is waited for. The writer lock between processes (a file) is taken between the two.
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
"""A reader looks for other processes' writes at most this often; they are promised within 1 s."""
_TURN_WAIT_S = 10.0
"""How long one write of another process is waited for; one that holds the lock until it closes is not."""
_OPEN_TRIES = 20


class Replica:
    """The state, the view that searches use, and the writer lock. Raises as ``open_index`` does."""

    def __init__(self, path: Path, mode: Mode, *, create: Identity | None, keep_manifests: int) -> None:
        self.path, self.mode, self.keep_manifests = path, mode, keep_manifests
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
        """Hold the writer lock, with all that other processes wrote applied."""
        if self.mode == "r":
            raise IndexFormatError(f"{self.path} is open for reading only")
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
        """Let searches see what was written."""
        self.view = self.state.view()

    def seal(self, state: State) -> State:
        """Put what is in memory into a segment and overlays, and start a new log. While writing; the state then."""
        if seal(self.store, state):
            self.reopen()
            self.collect(keep_manifests=self.keep_manifests)
        return self.state

    def collect(self, *, keep_manifests: int) -> None:
        """Remove what nothing needs any more; no segments while a compaction is under way. While writing."""
        with self.compacting() as alone:
            self.store.collect(keep_manifests=keep_manifests, segments=alone)

    @contextmanager
    def compacting(self, *, wait_s: float = 0.0) -> Iterator[bool]:
        """Whether, within ``wait_s`` seconds, this is the only compaction of the index, and stays so meanwhile."""
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

    def follow(self) -> None:
        """See what other processes wrote, if it is time to look."""
        now = time.monotonic()
        if now - self._followed < _FOLLOW_S or self.mode == "w":
            return
        if self.mutex.acquire(blocking=False):  # who holds it is writing, and publishes the new view itself
            try:
                self.current()
            finally:
                self.mutex.release()

    def current(self) -> State:
        """The state with what other processes wrote. Under the mutex."""
        if not self._lock.held:
            try:
                self._follow()
            except OSError as error:
                raise StorageError(f"{os_reason(error, self.path)}; was the index moved or unmounted?") from error
        self._followed = time.monotonic()  # not after an error: that stays one until it is mended
        return self.state

    def _follow(self) -> None:
        if self.store.stamp() != self.state.stamp:
            self.reopen()
        elif self.state.log.size() < self.state.log.position:
            self.reopen()  # a write that we had seen failed to reach the disk and was taken back
        elif self.state.log.size() > self.state.log.position and self.state.follow():
            self.publish()

    def reopen(self, *, afresh: bool = False) -> None:
        """Read the manifest in force and its log; ``afresh``: open also those segments again that are open."""
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
        """Remove the index again, if this made it and nothing was ever written to it."""
        if self._made:
            with self.writing() as state:
                if state.manifest.generation == 1 and state.log.empty:
                    self._remove()

    def _remove(self) -> None:
        """With all else in the directory, such as thumbnails, if that was made for it."""
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
            except FileNotFoundError as error:  # compacted away between reading the manifest and opening
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
