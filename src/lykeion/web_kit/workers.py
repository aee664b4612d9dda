"""A bounded pool of threads with a bounded waiting room."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from lykeion.core import Unavailable

P = ParamSpec("P")
T = TypeVar("T")


class Busy(Unavailable):
    """All threads work and the waiting room is full; the same request may succeed a little later."""


class Workers:
    """Runs blocking work for the event loop: ``threads`` pieces at a time, ``waiting`` more in line, no more."""

    def __init__(self, threads: int, waiting: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="lykeion-worker")
        self._places = threading.BoundedSemaphore(threads + waiting)

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Result of the work, in one hop to a thread and one back. Raises Busy at once if there is no place.

        When the caller is cancelled, work that has not begun never does; work that has keeps its place to its end.
        """
        if not self._places.acquire(blocking=False):
            raise Busy("the service is busy: too many requests wait already; try again in a moment")
        try:
            future = self._pool.submit(work, *args, **kwargs)
        except RuntimeError:
            self._places.release()
            raise Busy("the service is shutting down") from None
        future.add_done_callback(lambda _: self._places.release())
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Wait for the work under way; drop what has not begun."""
        self._pool.shutdown(cancel_futures=True)
