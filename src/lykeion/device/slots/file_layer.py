"""Every access to the files of a device's models, as a protocol: a test hands in one that loses what was not synced.

What is written is durable after ``sync``, and a name (made, moved or removed) after ``sync_names``; without them a
loss of power may undo any part of it, in any order.
"""

import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from lykeion.core import fsync_directory, locked


class FileLayer(Protocol):
    """Raises OSError; FileNotFoundError for a path that is not there."""

    def read(self, path: Path) -> bytes: ...

    def size(self, path: Path) -> int:
        """-1 where there is no file."""
        ...

    def names(self, directory: Path) -> list[str]:
        """Empty where there is no directory."""
        ...

    def make_directory(self, path: Path) -> None:
        """With those above; durable. Nothing is done where it exists."""
        ...

    def write(self, path: Path, offset: int, data: bytes) -> None:
        """At ``offset``, which is at most the file's size; the file is made if there is none, and ends there."""
        ...

    def sync(self, path: Path) -> None: ...

    def rename(self, source: Path, target: Path) -> None: ...

    def remove(self, path: Path) -> None:
        """Nothing is done where there is no file."""
        ...

    def sync_names(self, directory: Path) -> None: ...

    def free_bytes(self, directory: Path) -> int: ...

    @contextmanager
    def exclusive(self, path: Path) -> Generator[None]:
        """Held by one process at a time."""
        ...


class DiskFiles:
    """The file system."""

    def read(self, path: Path) -> bytes:
        return path.read_bytes()

    def size(self, path: Path) -> int:
        try:
            return path.stat().st_size
        except FileNotFoundError:
            return -1

    def names(self, directory: Path) -> list[str]:
        try:
            return sorted(entry.name for entry in directory.iterdir())
        except FileNotFoundError:
            return []

    def make_directory(self, path: Path) -> None:
        if not path.is_dir():
            self.make_directory(path.parent)
            path.mkdir(mode=0o700, exist_ok=True)
            fsync_directory(path.parent)

    def write(self, path: Path, offset: int, data: bytes) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.seek(offset)
            file.write(data)
            file.truncate()

    def sync(self, path: Path) -> None:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        source.replace(target)

    def remove(self, path: Path) -> None:
        path.unlink(missing_ok=True)

    def sync_names(self, directory: Path) -> None:
        fsync_directory(directory)

    def free_bytes(self, directory: Path) -> int:
        return shutil.disk_usage(directory).free

    @contextmanager
    def exclusive(self, path: Path) -> Generator[None]:
        with locked(path):
            yield
