"""One writer at a time, across processes: a lock on a file that names the holder."""

from lykeion.core import FileLock, Locked
from lykeion.search.index.errors import IndexLocked


class WriterLock(FileLock):
    """An exclusive lock, released by ``release`` or when the process ends. Not for use by two threads at once."""

    def take(self, *, wait_s: float = 0.0, session: bool = False) -> None:
        """Take the lock, for a ``session`` or for a short operation.

        Raises IndexLocked, with the holder's pid, if it is held for a session, or by one operation for more than
        ``wait_s`` seconds; LockError.
        """
        try:
            self.acquire(wait_s=wait_s, name="session" if session else "turn")
        except Locked as locked:
            raise IndexLocked(
                f"{self.path.parent} is being written by process {locked.pid}; wait for it or end it"
            ) from None
