"""Requests that wait for an engine, row by row, and how many rows are run at once. Plain data, not thread-safe."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

Outputs: TypeAlias = Mapping[str, np.ndarray]


def together(parts: Sequence[Outputs]) -> Outputs:
    """The outputs of consecutive rows as those of all."""
    return (
        parts[0] if len(parts) == 1 else {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    )


@dataclass(frozen=True, slots=True)
class RowPlan:
    """How rows are run: one by one, or ``together`` at once if at least ``least`` rows wait for the engine. Missing
    rows are filled up, so that an engine sees two sizes of batch only: others may cost it a compilation."""

    together: int = 1
    least: int = 1

    def rows(self, waiting: int, idle: int) -> int:
        """How many rows an engine takes of those that wait, as one of ``idle`` engines that share them."""
        share = -(-waiting // max(idle, 1))
        return min(share, self.together) if self.together > 1 and share >= self.least else 1


@dataclass(slots=True, eq=False)
class WaitingRequest:
    """``values`` are the inputs, (rows, …) each. ``future`` is of the outputs of all rows."""

    values: tuple[np.ndarray, ...]
    future: "Future[Outputs]" = field(default_factory=Future)
    taken: int = 0
    answered: int = 0
    """Rows that were handed out to engines, and whose outputs are known."""
    parts: dict[int, Outputs] = field(default_factory=dict)
    """Outputs by their first row."""

    @property
    def rows(self) -> int:
        return len(self.values[0])

    def give(self, first: int, rows: int, outputs: Outputs) -> None:
        """The outputs of some rows; with the last of them the request is answered."""
        self.parts[first] = outputs
        self.answered += rows
        if self.answered == self.rows and self.future.set_running_or_notify_cancel():
            self.future.set_result(together([self.parts[first] for first in sorted(self.parts)]))

    def fail(self, error: BaseException) -> None:
        if not self.future.done() and self.future.set_running_or_notify_cancel():
            self.future.set_exception(error)


@dataclass(frozen=True, slots=True, eq=False)
class RowPiece:
    """Consecutive rows of a request."""

    request: WaitingRequest
    first: int
    rows: int

    @property
    def values(self) -> tuple[np.ndarray, ...]:
        return tuple(each[self.first : self.first + self.rows] for each in self.request.values)


class RowQueue:
    """First come, first served. Requests that nobody waits for any longer are dropped."""

    def __init__(self) -> None:
        self._requests: deque[WaitingRequest] = deque()

    def __len__(self) -> int:
        """Requests of which some rows wait."""
        return len(self._requests)

    @property
    def rows(self) -> int:
        self._drop_finished()
        return sum(each.rows - each.taken for each in self._requests)

    def add(self, request: WaitingRequest) -> None:
        self._requests.append(request)

    def take(self, rows: int) -> list[RowPiece]:
        """The next rows, at most so many, as pieces of their requests."""
        return list(self._take(rows))

    def clear(self) -> list[WaitingRequest]:
        """Remove all requests."""
        left = list(self._requests)
        self._requests.clear()
        return left

    def _take(self, rows: int) -> Iterator[RowPiece]:
        self._drop_finished()
        while rows and self._requests:
            request = self._requests[0]
            first, count = request.taken, min(rows, request.rows - request.taken)
            request.taken += count
            rows -= count
            if request.taken == request.rows:
                self._requests.popleft()
            yield RowPiece(request, first, count)

    def _drop_finished(self) -> None:
        if any(each.future.done() for each in self._requests):
            self._requests = deque(each for each in self._requests if not each.future.done())
