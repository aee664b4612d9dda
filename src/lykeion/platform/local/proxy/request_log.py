"""One line of JSON for each request, in files of limited size: ``requests.log``, then ``requests.log.1`` and on."""

import os
from pathlib import Path
from typing import Any

import msgspec

LIMIT_BYTES = 16 << 20
KEPT = 4


class RequestLog:
    """Lines are written when ``flush`` is called, or there are many. An error ends nothing but the log."""

    def __init__(self, path: Path, limit_bytes: int = LIMIT_BYTES) -> None:
        self._path, self._limit = path, limit_bytes
        self._lines: list[bytes] = []
        self._encoder = msgspec.json.Encoder()

    def add(self, **fields: Any) -> None:
        self._lines.append(self._encoder.encode(fields))
        if len(self._lines) >= 1000:
            self.flush()

    def flush(self) -> None:
        if not self._lines:
            return
        data = b"\n".join([*self._lines, b""])
        self._lines.clear()
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(descriptor, data)
            size = os.fstat(descriptor).st_size
        finally:
            os.close(descriptor)
        if size > self._limit:
            self._rotate()

    def _rotate(self) -> None:
        for number in range(KEPT - 1, -1, -1):
            older = self._path.with_name(f"{self._path.name}.{number + 1}")
            newer = self._path.with_name(f"{self._path.name}.{number}") if number else self._path
            if newer.exists():
                newer.replace(older)
