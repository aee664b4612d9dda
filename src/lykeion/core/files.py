"""Files that are written completely or not at all, even after a crash."""

import os
import secrets
import shutil
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from .errors import LykeionError


def write_atomically(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Replace ``path`` with ``data``; a reader sees the old content or the new one, never a part.

    With ``durable``, both content and name are on disk when the call returns. Raises OSError, which names ``path``.
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
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from None
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if durable:
        fsync_directory(path.parent)


def copy_tree(
    source: Path,
    target: Path,
    copy: Callable[[str, str], object] = shutil.copy2,
    *,
    leave_out: Callable[[str], bool] = lambda name: False,
) -> None:
    """Copy a directory into one that may exist; ``leave_out`` says of which names not. Raises OSError at once, where
    ``shutil.copytree`` goes on and raises a list."""
    for home, _, names in os.walk(source):
        there = target / Path(home).relative_to(source)
        there.mkdir(parents=True, exist_ok=True)
        for name in names:
            if not leave_out(name):
                copy(str(Path(home, name)), str(there / name))


@contextmanager
def writing(path: Path, error: type[LykeionError], advice: str = "") -> Generator[None]:
    """An OSError inside is raised as ``error``: ``path``, the reason, and what to do."""
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
