"""Runs requests on engines, a thread each: at once while an engine is idle, in batches while all are busy."""

import asyncio
import threading
from collections.abc import Sequence
from time import perf_counter

import numpy as np

from lykeion.web_kit import Busy

from .batch_metrics import BatchMetrics
from .engine_lanes import LaneEngines
from .row_queue import Outputs, RowPiece, RowPlan, RowQueue, WaitingRequest


class Batcher:
    """``waiting`` requests may wait for an engine; nothing waits for a batch to fill."""

    def __init__(self, lanes: Sequence[LaneEngines], plan: RowPlan, *, waiting: int) -> None:
        self.metrics = BatchMetrics(lambda: len(self._queue))
        self._plan, self._waiting, self._lanes = plan, waiting, len(lanes)
        self._queue, self._changed = RowQueue(), threading.Condition()
        self._idle, self._closed = len(lanes), False
        self._threads = [
            threading.Thread(target=self._work, args=(engines,), name=f"lykeion-lane-{number}", daemon=True)
            for number, engines in enumerate(lanes)
        ]
        for thread in self._threads:
            thread.start()

    async def run(self, *values: np.ndarray) -> Outputs:
        """The outputs for inputs (rows, …). If the caller is cancelled, rows that still wait are not run.

        Raises Busy at once if too many requests wait, and EngineFailed.
        """
        request = WaitingRequest(values)
        with self._changed:
            if self._closed:
                raise Busy("the server is shutting down")
            if len(self._queue) >= self._waiting + self._idle:
                raise Busy("the server is busy: too many requests are waiting; try again in a moment")
            self._queue.add(request)
            self._changed.notify(min(request.rows, self._lanes))
        return await asyncio.wrap_future(request.future)

    def close(self) -> None:
        """Wait for the runs in progress; fail the requests that wait."""
        with self._changed:
            self._closed = True
            for request in self._queue.clear():
                request.fail(Busy("the server is shutting down"))
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _work(self, engines: LaneEngines) -> None:
        while taken := self._take():
            pieces, alone = taken
            started = perf_counter()
            outcome = self._outcome(engines, pieces, alone)
            taken_s = perf_counter() - started
            with self._changed:
                self._idle += 1
                for number, piece in enumerate(pieces):
                    if isinstance(outcome, Exception):
                        piece.request.fail(outcome)
                    else:
                        piece.request.give(piece.first, piece.rows, outcome[number])
            self.metrics.observe(sum(piece.rows for piece in pieces), taken_s)

    def _outcome(self, engines: LaneEngines, pieces: Sequence[RowPiece], alone: bool) -> list[Outputs] | Exception:
        try:
            return engines.run(pieces, self._plan, alone=alone)
        except Exception as error:  # whatever it is, the requests are told and the thread goes on
            return error

    def _take(self) -> tuple[list[RowPiece], bool] | None:
        """The rows to run next, and whether nothing else runs or waits; None at the end."""
        with self._changed:
            while not (rows := self._queue.rows) and not self._closed:
                self._changed.wait()
            if not rows:
                return None
            alone = rows == 1 and self._idle == self._lanes
            pieces = self._queue.take(self._plan.rows(rows, self._idle))
            self._idle -= 1
            return pieces, alone
