"""A pool of engines of one model for any number of threads.

Measured with EfficientNet-Lite0 on two cores: under load, one single-threaded engine per core at batch 1 has the
highest throughput (9.3 ms of CPU time per photo, in batches of eight 10.7); a single photo takes 8.9 ms on one thread
and 4.6 ms on two. So a single caller gets an engine with many threads, and concurrent callers get single-threaded
engines, as many as there are cores.
"""

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from lykeion.core import core_count

if TYPE_CHECKING:
    from lykeion.engines import Engine

MAX_THREADS = 4


class EnginePool:
    """Engines of one model, each loaded by ``load`` with so many threads. Raises ModelError."""

    def __init__(self, load: "Callable[[int], Engine]") -> None:
        self._load = load
        cores = core_count()
        self._wide = load(min(cores, MAX_THREADS))
        self.inputs, self.outputs = self._wide.inputs, self._wide.outputs
        self._wide_in_use = threading.Lock()
        # Last in, first out, so that a warm engine is preferred to a slot (None) for a new one.
        self._narrow: queue.LifoQueue[Engine | None] = queue.LifoQueue()
        for _ in range(cores):
            self._narrow.put(None)
        self._count, self._counting = 0, threading.Lock()

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Registers a caller, so that others know about it; from decoding on, before ``run``."""
        with self._counting:
            self._count += 1
        try:
            yield
        finally:
            with self._counting:
                self._count -= 1

    def run(self, batch: np.ndarray) -> dict[str, np.ndarray]:
        """Like ``Engine.run``; waits while all cores are busy."""
        if self._count <= 1 and self._wide_in_use.acquire(blocking=False):
            try:
                return self._wide.run(batch)
            finally:
                self._wide_in_use.release()
        engine = self._narrow.get()
        try:
            engine = engine or self._load(1)
            return engine.run(batch)
        finally:
            self._narrow.put(engine)
