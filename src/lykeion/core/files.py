"""Files that are written completely or not at all, also after a crash."""

import os
import secrets
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from .errors import LykeionError


def write_atomically(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Replace ``path`` with ``data``; a reader sees the old content or the new one, never a part.

    With ``durable``, both content and name are on disk when the call returns. Raises OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if durable:
        fsync_directory(path.parent)


@contextmanager
def writing(path: Path, error: type[LykeionError], advice: str = "") -> Generator[None]:
    """What the system refuses inside is raised as ``error``: ``path``, the reason, and what to do."""
    try:
        yield
    except OSError as refused:
        end = f"; {advice}" if advice else ""
        raise error(f"{path}: cannot be written ({refused.strerror or refused}){end}") from None


def fsync_directory(directory: Path) -> None:
    """Make the names in ``directory`` durable. Raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
