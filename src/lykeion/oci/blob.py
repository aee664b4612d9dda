"""A blob that is written in chunks and stored under its digest when complete."""

import hashlib
import os
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from types import TracebackType

from lykeion.core import FileLock, LockError, Unavailable, fsync_directory, writing

from .descriptor import Descriptor
from .errors import ContentDamaged

ADVICE = "make room, or name another place"
_TRIES = 20


class BlobWriter:
    """A blob being written. On leaving ``with`` it is stored under its digest, or, after an exception, discarded.

    Raises Unavailable where the layout cannot be written.
    """

    def __init__(self, ingest: Path, path_of: Callable[[str], Path]) -> None:
        """``ingest`` is the directory to write in, ``path_of`` gives the path for a digest."""
        self.size = 0
        self._ingest, self._path_of = ingest, path_of
        self._hash = hashlib.sha256()
        self._expected: Descriptor | None = None

    def expect(self, descriptor: Descriptor) -> None:
        """Accept only content of this digest and size; else leaving ``with`` raises ContentDamaged."""
        self._expected = descriptor

    def write(self, data: bytes | memoryview) -> int:
        self._hash.update(data)
        self.size += len(data)
        if self._expected and self.size > self._expected.size:
            raise ContentDamaged(f"received more than {self._expected.size:,} bytes for {self._expected.digest}")
        with self._writing():
            return self._file.write(data)

    @property
    def digest(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"

    def descriptor(self, media_type: str) -> Descriptor:
        return Descriptor(media_type, self.digest, self.size)

    def __enter__(self) -> "BlobWriter":
        with self._writing():
            self._ingest.mkdir(exist_ok=True)
        for _ in range(_TRIES - 1):
            with suppress(LockError):  # sweep took it before it was locked
                return self._begin()
        return self._begin()

    def _begin(self) -> "BlobWriter":
        with self._writing():
            self._file = tempfile.NamedTemporaryFile(dir=self._ingest, suffix=".part", delete=False)  # noqa: SIM115
        self._lock = FileLock(Path(self._file.name), create=False)
        try:
            self._lock.acquire(wait_s=0)  # for sweep, which removes unlocked files
        except LockError:
            self._file.close()
            Path(self._file.name).unlink(missing_ok=True)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        temporary = Path(self._file.name)
        try:
            if error is None:
                with self._writing():
                    self._keep(temporary)
        finally:
            temporary.unlink(missing_ok=True)
            with suppress(OSError):  # what did not fit is tried once more
                self._file.close()
            self._lock.release()

    def _writing(self) -> AbstractContextManager[None]:
        return writing(self._ingest.parent, Unavailable, ADVICE)

    def _keep(self, temporary: Path) -> None:
        expected = self._expected
        if expected and (expected.digest, expected.size) != (self.digest, self.size):
            raise ContentDamaged(f"{self.size:,} bytes of {self.digest} came for {expected.digest}; fetch it again")
        target = self._path_of(self.digest)
        if target.exists():
            return
        self._file.flush()
        os.fchmod(self._file.fileno(), 0o444)
        os.fsync(self._file.fileno())
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary.replace(target)
        fsync_directory(target.parent)
