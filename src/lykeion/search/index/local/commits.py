"""Group commit: writes that arrive together go to the log in one frame, with one sync."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from lykeion.core import LykeionError
from lykeion.search.index.local.disk.log import Operation
from lykeion.search.index.local.memory.state import State
from lykeion.search.index.schema import Schema

from .replica import Replica

_SEAL_BYTES = 64 << 20
_SEAL_PATCHES = 20_000


@dataclass
class _Write:
    """A pending write, and its result."""

    prepare: Callable[[State], Operation]
    done: bool = False
    result: int = 0
    error: BaseException | None = None


class GroupCommit:
    """Commits the writes of all threads. ``sealed`` is called when this produced a new segment."""

    def __init__(self, replica: Replica, *, durable: bool, seal_rows: int, sealed: Callable[[], None]) -> None:
        self._replica, self._durable, self._seal_rows, self._sealed = replica, durable, seal_rows, sealed
        self._queue: list[_Write] = []
        self._queue_lock, self._committing = threading.Lock(), threading.Lock()

    def write(self, prepare: Callable[[State], Operation]) -> int:
        """Log and apply what ``prepare`` returns for the state. Returns what State.apply does.

        The first thread writes for all that arrive in the meantime. Raises what ``prepare`` raises, StorageError and
        IndexLocked; then nothing of the write is kept.
        """
        write = _Write(prepare)
        with self._queue_lock:
            self._queue.append(write)
        with self._committing:
            if not write.done:
                with self._queue_lock:
                    group, self._queue = self._queue, []
                self._commit(group)
        if write.error is not None:
            raise write.error
        return write.result

    def _commit(self, group: list[_Write]) -> None:
        try:
            with self._replica.writing() as state:
                operations: list[tuple[_Write, Operation]] = []
                schema = state.schema
                try:
                    for write in group:
                        try:
                            operations.append((write, write.prepare(state)))
                            state.schema = _schema_after(state.schema, operations[-1][1])
                        except LykeionError as error:
                            write.error = error
                finally:
                    state.schema = schema
                if operations:
                    self._log_and_apply(state, operations)
        except BaseException as error:
            for write in group:
                write.error = write.error or error
            if not isinstance(error, Exception):
                raise
        finally:
            for write in group:
                write.done = True

    def _log_and_apply(self, state: State, operations: list[tuple[_Write, Operation]]) -> None:
        rows = sum(len(operation.ids) for _, operation in operations if operation.vectors is not None)
        bulk = rows >= self._seal_rows
        if not bulk:  # a bulk write goes straight into a segment, which is as durable and is written once
            state.log.append([operation for _, operation in operations], durable=self._durable)
        try:
            for write, operation in operations:
                write.result = state.apply(operation)
            tail_bytes = state.tail.rows * state.tail.vectors.itemsize * state.tail.vectors.shape[1]
            full = state.tail.rows >= self._seal_rows or tail_bytes >= _SEAL_BYTES
            if bulk or full or state.pending_patches >= _SEAL_PATCHES:
                self._replica.seal(state)
                self._sealed()
            else:
                self._replica.publish()
        except OSError:
            self._replica.reopen()
            if bulk:
                raise  # otherwise the write is in the log, and a segment can wait until the disk has room
        except BaseException:
            self._replica.reopen()  # memory may hold half of the write; the disk has all or nothing
            raise


def _schema_after(schema: Schema, operation: Operation) -> Schema:
    return schema if operation.columns is None else Schema.from_json(operation.columns)  # pyright: ignore[reportArgumentType]
