"""When compaction runs: in the background after a segment was written, or when it is asked for."""

import math
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from lykeion.core import LykeionError, os_reason
from lykeion.search.index.errors import StorageError

from . import compaction
from .replica import Replica
from .verifying import drop_damaged_kernels

_WAIT_S = 1.0
"""How long the background waits for another process's compaction; one that is asked for waits until it ends."""


class Compactor:
    """Runs merges for a replica. One compaction of an index at a time, across processes."""

    def __init__(self, replica: Replica, *, background: bool) -> None:
        self._replica, self._background = replica, background
        self._thread: threading.Thread | None = None
        self._starting, self._running, self._due = threading.Lock(), False, False
        self._closing = threading.Event()

    def start(self) -> None:
        """Compact in a thread, if that is wanted; one that is at it looks again before it ends."""
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
        """Abandon a merge that is under way in the background, and begin no other."""
        self._closing.set()
        self.finish()

    def compact(self, *, full: bool) -> None:
        """All that is due; ``full`` merges everything into as few segments as there can be."""
        replica = self._replica
        with replica.writing() as state:
            replica.seal(state)
        while self._once(full=full, wait_s=math.inf, low=False):
            full = False
        with replica.writing():
            replica.collect(keep_manifests=1)

    def rebuild(self) -> None:
        """Rewrite every segment and its kernel; snapshots go without a kernel that is damaged."""
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
        """Whether ``start`` was called since the last time; if not, the thread is to end."""
        with self._starting:
            self._running, self._due = self._due, False
            return self._running

    def _once(self, *, full: bool = False, wait_s: float, low: bool) -> bool:
        """One merge that is due; whether there was one. Waits so long for another compaction to end."""
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

    def _merge(self, merge: compaction.Merge, *, low: bool) -> bool:
        """Carry out a merge, as the only compaction; False if the index returned to an earlier state meanwhile."""
        replica = self._replica
        with replica.mutex:
            layers = [layer for layer in replica.state.segments if layer.segment.digest in merge.segments]
            before = [compaction.MergeSource(layer, replica.state.schema) for layer in layers]
        try:
            # Only this gives way: what holds the lock must not be kept from the processor by what waits for it.
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
