"""One thread that writes: whatever waits when a transaction ends goes into the next one, and is on disk together."""

import asyncio
import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from lykeion.core import LykeionError, Unavailable, first_line
from lykeion.delivery.device_service import FleetStore, FleetTransaction

MAX_TOGETHER = 4_096
Result = TypeVar("Result")
_log = logging.getLogger("lykeion.delivery")


class NotStored(Unavailable):
    """The gateway stops, or the store cannot be written."""


@dataclass(frozen=True, slots=True)
class _Work:
    change: Callable[[FleetTransaction], Any]
    done: Callable[[Any], object]


class SessionWriter:
    """Made in the event loop that hears the results. ``store`` is used by the thread alone."""

    def __init__(self, store: FleetStore) -> None:
        self._store, self._loop = store, asyncio.get_running_loop()
        self._waiting: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="session-writer", daemon=True)
        self._thread.start()
        self.commits = self.changes = 0

    def put(self, change: Callable[[FleetTransaction], Any], done: Callable[[Any], object]) -> None:
        """``change`` is called in the thread; if it raises a LykeionError, it has changed nothing. ``done`` gets, in
        the event loop and when all is on disk, its result or its error."""
        self._waiting.put(_Work(change, done))

    async def run(self, change: Callable[[FleetTransaction], Result]) -> Result:
        """Raises what ``change`` raises, and NotStored."""
        future: asyncio.Future[Result] = self._loop.create_future()

        def done(result: Any) -> None:
            if future.done():
                return
            if isinstance(result, LykeionError):
                future.set_exception(result)
            else:
                future.set_result(result)

        self.put(change, done)
        return await future

    @property
    def waiting(self) -> int:
        return self._waiting.qsize()

    def close(self) -> None:
        """What waits is stored."""
        self._waiting.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (first := self._waiting.get()) is not None:
            works, ends = self._drained(first)
            try:
                results = self._stored(works)
            except LykeionError as error:
                results = [NotStored(str(error))] * len(works)
            except Exception:  # a fault of one of them: the others are stored, and the thread goes on
                results = [self._alone(work) for work in works]
            self.commits, self.changes = self.commits + 1, self.changes + len(works)
            self._loop.call_soon_threadsafe(_tell, works, results)
            if ends:
                return

    def _drained(self, first: _Work) -> tuple[list[_Work], bool]:
        works = [first]
        try:
            while len(works) < MAX_TOGETHER:
                if (work := self._waiting.get_nowait()) is None:
                    return works, True
                works.append(work)
        except queue.Empty:
            pass
        return works, False

    def _alone(self, work: _Work) -> Any:
        try:
            return self._stored([work])[0]
        except LykeionError as error:
            return NotStored(str(error))
        except Exception as error:
            _log.error("what a device sent cannot be stored: %s: %s", type(error).__name__, first_line(error))
            return NotStored("this cannot be stored")

    def _stored(self, works: list[_Work]) -> list[Any]:
        results: list[Any] = []
        with self._store.transaction() as now:
            for work in works:
                try:
                    results.append(work.change(now))
                except LykeionError as error:
                    results.append(error)
        return results


def _tell(works: list[_Work], results: list[Any]) -> None:
    for work, result in zip(works, results, strict=True):
        try:
            work.done(result)
        except Exception as error:  # of one connection; the others hear their results
            _log.error("a connection fails: %s: %s", type(error).__name__, first_line(error))
