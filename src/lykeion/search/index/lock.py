"""One writer at a time, across processes: flock on a file that names the holder."""

import fcntl
import os
import time
from pathlib import Path

from .errors import IndexLocked

_HOLDER_BYTES = 48
_PAUSE_S = 0.002


class FileLock:
    """An exclusive lock, given back by ``release`` or when the process ends. Not for use by two threads at once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    @property
    def held(self) -> bool:
        return self._descriptor is not None

    def acquire(self, *, wait_s: float = 0.0, session: bool = False) -> None:
        """Take the lock, for a ``session`` or for a short turn.

        Raises IndexLocked, naming the holder's pid, if it is held for a session, or for one turn of more than
        ``wait_s`` seconds.
        """
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        holder, deadline = b"", 0.0
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                before, holder = holder, os.pread(descriptor, _HOLDER_BYTES, 0)
                if holder != before:  # others' turns are waited for, each anew
                    deadline = time.monotonic() + wait_s
                elif b" session " in holder:
                    deadline = 0.0
                if time.monotonic() >= deadline:
                    os.close(descriptor)
                    pid = (holder.decode(errors="replace").split() or ["unknown"])[0]
                    raise IndexLocked(
                        f"{self._path.parent} is being written by process {pid}; wait for it or end it"
                    ) from None
                time.sleep(_PAUSE_S)
        kind = "session" if session else "turn"
        os.pwrite(descriptor, f"{os.getpid()} {kind} {time.monotonic_ns()}\n".ljust(_HOLDER_BYTES).encode(), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
