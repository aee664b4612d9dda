"""One writer at a time, across processes: flock on a file that names the holder."""

import fcntl
import os
import time
from pathlib import Path

from .errors import IndexLocked


class FileLock:
    """An exclusive lock, given back by ``release`` or when the process ends. Not for use by two threads at once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    @property
    def held(self) -> bool:
        return self._descriptor is not None

    def acquire(self, *, wait_s: float = 0.0) -> None:
        """Raises IndexLocked, naming the holder's pid, if it is not free within ``wait_s`` seconds."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        deadline = time.monotonic() + wait_s
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
                    os.close(descriptor)
                    raise IndexLocked(
                        f"{self._path.parent} is being written by process {holder}; wait for it or end it"
                    ) from None
                time.sleep(0.005)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
