"""Blobs that were pulled, by digest, shared by all processes of a machine: fetched once, however many ask.

A file of the cache is read-only and has one fixed time of change, so that one which was written to through a hard
link shows, and is fetched again.
"""

import os
import shutil
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from lykeion.core import LockError, cache_directory, digest_file, locked
from lykeion.oci import Descriptor
from lykeion.oci.distribution import StoreError

_TIME_NS = 946_684_800 * 10**9  # 1 January 2000


class BlobCache:
    """A directory, made when it is first needed."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or cache_directory() / "blobs"

    def obtain(self, descriptor: Descriptor, fetch: Callable[[Path], None]) -> Path:
        """The blob's file. ``fetch`` writes it, from where a part of it ends, and verifies it. Raises StoreError."""
        path = self.find(descriptor)
        if path:
            return path
        name = descriptor.digest.removeprefix("sha256:")
        try:
            with self._locked(name):  # whoever waited here finds it fetched
                if path := self.find(descriptor):
                    return path
                part, path = self.root / "partial" / name, self._path(descriptor.digest)
                fetch(part)
                part.chmod(0o444)
                os.utime(part, ns=(_TIME_NS, _TIME_NS))
                part.replace(path)
        except OSError as error:
            raise StoreError(f"{self.root}: {error.strerror or error}; LYKEION_HOME names another place") from None
        return path

    def find(self, descriptor: Descriptor) -> Path | None:
        path = self._path(descriptor.digest)
        try:
            status = path.stat()
        except OSError:
            return None
        if status.st_size == descriptor.size and status.st_mtime_ns == _TIME_NS:
            return path
        with suppress(OSError):
            if digest_file(path) == descriptor.digest:
                return path
            path.unlink()
        return None

    def directory(self, digest: str) -> Path:
        """Where the files of the model with this manifest are kept, once it is pulled there."""
        return self.root / "models" / digest.removeprefix("sha256:")

    def clear(self) -> tuple[int, int]:
        """Remove everything but what is being fetched; how many files, and of how many bytes."""
        shutil.rmtree(self.root / "models", ignore_errors=True)
        files = size = 0
        for path in (*(self.root / "sha256").glob("*"), *(self.root / "partial").glob("*")):
            with suppress(OSError, LockError), self._locked(path.name, wait=False):
                size += path.stat().st_size
                files += 1
                path.unlink()
        return files, size

    def _path(self, digest: str) -> Path:
        return self.root / digest.replace(":", "/")

    @contextmanager
    def _locked(self, name: str, *, wait: bool = True) -> Generator[None]:
        for directory in ("sha256", "partial", "locks"):
            (self.root / directory).mkdir(parents=True, exist_ok=True)
        with locked(self.root / "locks" / name, wait=wait):
            yield


def place(source: Path, target: Path) -> None:
    """Have a file of the cache at ``target``: linked where the file system can, else copied. Raises OSError."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copyfile(source, target)
