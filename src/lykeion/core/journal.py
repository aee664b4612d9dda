"""An append-only journal: one JSON value per line, on disk when ``append`` returns.

A crash can only truncate the last line, and a line without an end is ignored; so lines need no checksum. Several
processes may append to one journal.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from .documents import json_value
from .errors import LykeionError
from .files import fsync_directory, writing
from .lock import locked

LIMIT_LINE_BYTES = 1 << 20


class Journal:
    """The journal at ``path``; ``what`` names it in error messages. Created by the first ``append``."""

    def __init__(self, path: Path, error: type[LykeionError], what: str = "journal") -> None:
        self.path, self._error, self._what = path, error, what

    def __iter__(self) -> Iterator[Any]:
        """The values in the order in which they were appended. Raises ``error``, naming the line."""
        try:
            with self.path.open("rb") as file:
                number = 0
                while (line := file.readline(LIMIT_LINE_BYTES + 1)).endswith(b"\n"):
                    number += 1
                    yield json_value(line, self._error, self._what, where=f"{self.path}, line {number}: ")
                if len(line) > LIMIT_LINE_BYTES:
                    raise self._error(f"{self.path}, line {number + 1}: longer than {LIMIT_LINE_BYTES >> 20} MiB")
        except FileNotFoundError:
            return
        except OSError as refused:
            raise self._error(f"{self.path}: cannot read the {self._what}: {refused.strerror or refused}") from None

    def append(self, value: Any, *, first: bool = False) -> None:
        """Add a value, after what is whole; with ``first``, only where there is none. Raises ``error``, LockError."""
        line = json.dumps(value, allow_nan=False).encode() + b"\n"
        with writing(self.path, self._error):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with locked(self.path), self.path.open("r+b") as file:
                end = _whole_bytes(file)
                if first and end:
                    return
                file.seek(end)
                file.truncate()
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
                if not end:
                    fsync_directory(self.path.parent)

    def remove(self) -> None:
        """Delete the journal, when nobody appends to it. Raises ``error``, LockError."""
        with writing(self.path, self._error), locked(self.path):
            self.path.unlink(missing_ok=True)


def _whole_bytes(file: BinaryIO) -> int:
    """Up to the end of the last complete line."""
    size = file.seek(0, os.SEEK_END)
    if size:
        file.seek(size - 1)
        if file.read(1) != b"\n":
            file.seek(0)
            return file.read().rfind(b"\n") + 1
    return size
