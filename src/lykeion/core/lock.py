"""A lock between processes: flock on a file or directory, released when its holder exits or is killed.

The lock belongs to an open file. Two threads that lock the same path exclude each other; a forked child holds
nothing; after the file was removed or replaced, waiters wait for the new one.
"""

import errno
import fcntl
import math
import os
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from weakref import WeakSet

from .errors import Unavailable

_HOLDER_BYTES = 48
_PAUSE_S = 0.002
_WITHOUT_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)


class LockError(Unavailable):
    """The file cannot be locked: it cannot be opened, or its file system has no locks."""


class Locked(LockError):
    """Another process holds the lock; ``pid`` is its process ID if it wrote one into the file."""

    def __init__(self, path: Path, holder: bytes) -> None:
        first = holder.partition(b" ")[0]
        self.pid = first.decode() if first.isdigit() else "unknown"
        super().__init__(f"{path} is held by process {self.pid}; wait for it or end it")


class FileLock:
    """A lock on ``path``; with ``create``, the file is created if it does not exist. Not thread-safe."""

    def __init__(self, path: Path, *, shared: bool = False, create: bool = True) -> None:
        self.path = path
        self._flags = os.O_RDWR | os.O_CREAT if create else os.O_RDONLY
        self._operation = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        self._descriptor: int | None = None

    @property
    def held(self) -> bool:
        return self._descriptor is not None

    def acquire(self, *, wait_s: float = math.inf, name: str = "") -> None:
        """Acquire the lock, waiting up to ``wait_s`` seconds for each process that holds it first.

        ``name`` is written into the file with the process ID, for others that find it locked: "turn", or "session",
        which others do not wait for. Raises Locked, LockError.
        """
        try:
            while not self.held:
                self._try(wait_s)
            if name and self._descriptor is not None:
                holder = f"{os.getpid()} {name} {time.monotonic_ns()}\n".ljust(_HOLDER_BYTES)
                os.pwrite(self._descriptor, holder.encode(), 0)
        except OSError as error:
            self.release()
            advice = "; use a file system that supports locks" if error.errno in _WITHOUT_LOCKS else ""
            raise LockError(f"{self.path}: cannot be locked ({error.strerror or error}){advice}") from None

    def release(self) -> None:
        """Does nothing if the lock is not held."""
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            _held.discard(self)
            with suppress(OSError):  # where the file system is gone, so is the lock
                fcntl.flock(descriptor, fcntl.LOCK_UN)  # for all duplicates, such as one that a child inherited
            os.close(descriptor)

    def keep_when_executing(self) -> None:
        """Let programs that this process executes hold the lock too, until the last of them ends or closes it."""
        if self._descriptor is not None:
            os.set_inheritable(self._descriptor, True)

    def forget(self) -> None:
        """In a forked child: the lock belongs to the parent."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _try(self, wait_s: float) -> None:
        """Lock what is at the path; not held afterwards if that was removed or replaced in the meantime."""
        descriptor = os.open(self.path, self._flags, 0o666)
        try:
            self._wait(descriptor, wait_s)
            if _is_at(self.path, descriptor):
                self._descriptor = descriptor
                _held.add(self)
        finally:
            if not self.held:
                os.close(descriptor)

    def _wait(self, descriptor: int, wait_s: float) -> None:
        if wait_s == math.inf:
            fcntl.flock(descriptor, self._operation)
            return
        holder, deadline = None, 0.0
        while True:
            try:
                return fcntl.flock(descriptor, self._operation | fcntl.LOCK_NB)
            except BlockingIOError:
                before, holder = holder, self._holder(descriptor)
                if holder != before:  # each other holder is waited for the full time
                    deadline = time.monotonic() + wait_s
                elif b" session " in holder:
                    deadline = 0.0
                if time.monotonic() >= deadline:
                    raise Locked(self.path, holder) from None
                time.sleep(_PAUSE_S)

    def _holder(self, descriptor: int) -> bytes:
        return os.pread(descriptor, _HOLDER_BYTES, 0) if self._flags & os.O_RDWR else b""


@contextmanager
def locked(path: Path, *, shared: bool = False, create: bool = True, wait: bool = True) -> Generator[None]:
    """Hold the lock on ``path`` inside the context. Raises LockError, and without ``wait`` Locked."""
    lock = FileLock(path, shared=shared, create=create)
    try:
        lock.acquire(wait_s=math.inf if wait else 0.0)
        yield
    finally:
        lock.release()


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _forget_all() -> None:
    for lock in _held:
        lock.forget()
    _held.clear()


_held: WeakSet[FileLock] = WeakSet()
os.register_at_fork(after_in_child=_forget_all)
