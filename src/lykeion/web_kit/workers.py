"""A thread pool with a bounded queue."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from lykeion.core import Unavailable

P = ParamSpec("P")
T = TypeVar("T")


class Busy(Unavailable):
    """All threads are busy and the queue is full; the same request may succeed a little later."""


class Workers:
    """Runs blocking calls for the event loop: at most ``threads`` at a time and ``waiting`` more in the queue."""

    def __init__(self, threads: int, waiting: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="lykeion-worker")
        self._places = threading.BoundedSemaphore(threads + waiting)

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The call's result, with one switch to a thread and one back. Raises Busy at once if the queue is full.

        If the caller is cancelled, a queued call never starts; a running one occupies its thread until it ends.
        """
        if not self._places.acquire(blocking=False):
            raise Busy("the service is busy: too many requests are waiting; try again in a moment")
        try:
            future = self._pool.submit(work, *args, **kwargs)
        except RuntimeError:
            self._places.release()
            raise Busy("the service is shutting down") from None
        future.add_done_callback(lambda _: self._places.release())
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Wait for running calls; drop queued ones."""
        self._pool.shutdown(cancel_futures=True)
