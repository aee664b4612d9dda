"""Scheduling of compaction: in the background after a segment was written, or on request."""

import math
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

from lykeion.core import LykeionError, os_reason
from lykeion.search.index.errors import StorageError

from .replica import Replica
from .verifying import drop_damaged_kernels

if TYPE_CHECKING:
    from . import compaction  # imported where rows are merged: who only searches does not need it

_WAIT_S = 1.0
"""How long the background waits for another process's compaction; a requested compaction waits until it ends."""


class Compactor:
    """Runs merges for a replica. One compaction of an index at a time, across processes."""

    def __init__(self, replica: Replica, *, background: bool) -> None:
        self._replica, self._background = replica, background
        self._thread: threading.Thread | None = None
        self._starting, self._running, self._due = threading.Lock(), False, False
        self._closing = threading.Event()

    def start(self) -> None:
        """Compact in a thread, if enabled; a running thread checks again before it ends."""
        with self._starting:
            self._due = self._background
            at_it = self._running and self._thread is not None and self._thread.is_alive()
            if self._due and not at_it:
                self._running = True
                self._thread = threading.Thread(target=self._in_background, daemon=True, name="compaction")
                self._thread.start()

    def finish(self) -> None:
        """Wait until the background has done what is due."""
        if self._thread is not None:
            self._thread.join()

    def stop(self) -> None:
        """Cancel a merge in progress in the background, and start no other."""
        self._closing.set()
        self.finish()

    def compact(self, *, full: bool) -> None:
        """Perform all merges that are due; ``full`` merges everything into as few segments as possible."""
        replica = self._replica
        with replica.writing() as state:
            replica.seal(state)
        while self._once(full=full, wait_s=math.inf, low=False):
            full = False
        with replica.writing():
            replica.collect(keep_manifests=1)

    def rebuild(self) -> None:
        """Rewrite every segment and its kernel; damaged kernels of snapshots are removed."""
        from . import compaction

        replica = self._replica
        with replica.writing() as state:
            digests = [layer.segment.digest for layer in replica.seal(state).segments]
        for digest in digests:
            with replica.compacting(wait_s=math.inf):
                self._merge(compaction.Merge((digest,)), low=False)
        with replica.writing() as state:
            drop_damaged_kernels(replica.store, {layer.segment.digest for layer in state.segments})

    def _in_background(self) -> None:
        while self._goes_on():
            with suppress(LykeionError):  # another process writes, or the disk is full: a later write starts it again
                while not self._closing.is_set() and self._once(wait_s=_WAIT_S, low=True):
                    pass

    def _goes_on(self) -> bool:
        """Whether ``start`` was called since the last time; if not, the thread ends."""
        with self._starting:
            self._running, self._due = self._due, False
            return self._running

    def _once(self, *, full: bool = False, wait_s: float, low: bool) -> bool:
        """Perform one merge that is due; returns whether there was one. Waits up to ``wait_s`` seconds for another
        compaction to end."""
        from . import compaction

        replica = self._replica
        with replica.compacting(wait_s=wait_s) as alone:
            if not alone:
                return False
            with replica.mutex:
                sizes = [compaction.size_of(layer) for layer in replica.current().segments]
            merge = compaction.plan(
                sizes,
                policy=replica.identity.compaction,
                now=time.time(),
                full=full,
                kernel=replica.identity.kernel,
            )
            return merge is not None and self._merge(merge, low=low)

    def _merge(self, merge: "compaction.Merge", *, low: bool) -> bool:
        """Perform a merge, as the only compaction; False if the index was restored to an earlier state since."""
        from . import compaction

        replica = self._replica
        with replica.mutex:
            layers = [layer for layer in replica.state.segments if layer.segment.digest in merge.segments]
            before = [compaction.MergeSource(layer, replica.state.schema) for layer in layers]
        try:
            # Only this part yields: the holder of the lock must not be denied the processor by those waiting for it.
            initializer = compaction.lower_priority if low else None
            with ThreadPoolExecutor(1, initializer=initializer) as builder:
                job = builder.submit(compaction.build, replica.store, before, replica.identity, self._closing)
                built = job.result()
        except OSError as error:
            raise StorageError(os_reason(error, replica.path)) from error
        if built is None:
            return False
        with replica.writing() as state:
            state = replica.seal(state)
            if not compaction.swap(replica.store, state, before, built):
                return False
            replica.reopen(afresh=built.digest in merge.segments)
            replica.store.collect(keep_manifests=replica.keep_manifests, segments=True)
        return True
