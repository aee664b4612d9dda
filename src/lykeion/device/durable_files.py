"""Files that survive a loss of power, over a small layer that tests replace.

What is written is there after ``sync`` of the file; what is created, renamed or removed, after that of its directory.
Without it, a loss of power may undo any part of that, in any order.
"""

import os
import shutil
from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from lykeion.core import fsync_directory, locked


class FileLayer(Protocol):
    """Each may raise OSError."""

    def read(self, path: Path) -> bytes: ...

    def write(self, path: Path, data: bytes) -> None:
        """Create or overwrite."""
        ...

    def append(self, path: Path, data: bytes) -> None: ...

    def sync(self, path: Path) -> None:
        """Make a file's content, or a directory's names, durable."""
        ...

    def rename(self, source: Path, target: Path) -> None: ...

    def remove(self, path: Path) -> None:
        """Does nothing if there is none."""
        ...

    def make_directory(self, path: Path) -> None:
        """With its parents, for its owner only, durable; does nothing if it is there."""
        ...

    def names(self, directory: Path) -> list[str]:
        """Empty if there is no such directory."""
        ...

    def size(self, path: Path) -> int:
        """-1 if there is no such file."""
        ...

    def free_bytes(self, directory: Path) -> int:
        """What may still be written to its file system."""
        ...

    def exclusive(self, path: Path) -> AbstractContextManager[None]:
        """Held by one caller at a time, of all threads and processes; raises LockError."""
        ...


class Disk:
    """The real one."""

    def read(self, path: Path) -> bytes:
        return path.read_bytes()

    def write(self, path: Path, data: bytes) -> None:
        path.write_bytes(data)

    def append(self, path: Path, data: bytes) -> None:
        with path.open("ab") as file:
            file.write(data)

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

    def make_directory(self, path: Path) -> None:
        if not path.is_dir():
            self.make_directory(path.parent)
            path.mkdir(mode=0o700, exist_ok=True)
            fsync_directory(path.parent)

    def names(self, directory: Path) -> list[str]:
        return sorted(path.name for path in directory.iterdir()) if directory.is_dir() else []

    def size(self, path: Path) -> int:
        return path.stat().st_size if path.is_file() else -1

    def free_bytes(self, directory: Path) -> int:
        return shutil.disk_usage(directory).free

    def exclusive(self, path: Path) -> AbstractContextManager[None]:
        return locked(path)


def replace_file(files: FileLayer, path: Path, data: bytes) -> None:
    """A reader finds the old content or the new one, also after a loss of power; the new one once this returns."""
    new = path.with_name(f"{path.name}.new")
    files.write(new, data)
    files.sync(new)
    files.rename(new, path)
    files.sync(path.parent)


def remove_others(files: FileLayer, directory: Path, kept: Iterable[str]) -> None:
    """Remove every file of a directory but these."""
    keep = set(kept)
    for name in files.names(directory):
        if name not in keep:
            files.remove(directory / name)
