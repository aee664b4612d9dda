"""The output of a program: one file, of which the beginning is given back to the file system while it grows.

Linux only; elsewhere, and on file systems without holes, all of it is kept.
"""

import ctypes
import os
import sys
from contextlib import suppress
from pathlib import Path

KEPT_BYTES = 10 << 20
LIMIT_BYTES = 20 << 20
"""A log that takes more space on disk is cut down to the last KEPT_BYTES."""
CHUNK_BYTES = 1 << 16
_PUNCH_HOLE_KEEP_SIZE = 0x02 | 0x01


def trim_log(path: Path) -> None:
    """Make a hole of all but the end, if it is too large. Offsets in it stay as they are, and no output is lost."""
    if sys.platform == "linux":
        with suppress(OSError):
            found = path.stat()
            if found.st_blocks * 512 > LIMIT_BYTES:
                _make_hole(path, found.st_size - KEPT_BYTES)


def read_log(path: Path, offset: int) -> tuple[int, bytes]:
    """What is kept at ``offset`` or after it, at most CHUNK_BYTES, and the offset behind it; empty at the end."""
    with suppress(OSError), path.open("rb") as file:
        begin = os.lseek(file.fileno(), offset, os.SEEK_DATA) if hasattr(os, "SEEK_DATA") else offset
        file.seek(begin)
        data = file.read(CHUNK_BYTES)
        whole_lines = data.partition(b"\n")[2] if begin > offset else data  # the first line was cut
        return begin + len(data), whole_lines or data
    return offset, b""


def last_lines(path: Path, count: int) -> int:
    """The offset at which the last lines of a log begin."""
    with suppress(OSError), path.open("rb") as file:
        first = max(0, file.seek(0, os.SEEK_END) - LIMIT_BYTES)
        file.seek(first)
        data = file.read(LIMIT_BYTES)
        begin = len(data)
        for _ in range(count):
            begin = data.rfind(b"\n", 0, max(0, begin - 1)) + 1
        return first + begin
    return 0


def _make_hole(path: Path, end: int) -> None:
    """https://man7.org/linux/man-pages/man2/fallocate.2.html"""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = os.open(path, os.O_WRONLY)
    try:
        libc.fallocate(descriptor, _PUNCH_HOLE_KEEP_SIZE, ctypes.c_long(0), ctypes.c_long(end))
    finally:
        os.close(descriptor)
