"""The metrics that a program appends to ``metrics.jsonl`` in its run directory: JSON objects, one a line.

The program is not trusted: reads are bounded, links and pipes are not opened, and of each line only finite numbers
with plain names are kept.
"""

import asyncio
import json
import os
import re
import stat
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, BinaryIO, cast

METRICS_FILE = "metrics.jsonl"
LIMIT_FILE_BYTES = 4 << 20
"""Of what is there when reading begins; earlier lines are left out."""
LIMIT_LINE_BYTES = 1 << 16
LIMIT_NUMBERS = 64
PAUSE_S = 0.2

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_./@-]{0,63}")

Row = dict[str, int | float]


def metrics_row(line: bytes) -> Row:
    """The finite numbers in a line, at most 64; none if it is not a JSON object."""
    try:
        value: Any = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    items = cast(dict[str, Any], value).items() if isinstance(value, dict) else ()
    return dict(
        [(name, number) for name, number in items if _NAME.fullmatch(name) and _is_finite(number)][:LIMIT_NUMBERS]
    )


async def follow_rows(path: Path, has_ended: Callable[[], Awaitable[bool]]) -> AsyncIterator[list[Row]]:
    """The rows in a file, and those that are appended until ``has_ended``.

    A program that resumes from a checkpoint may shorten the file; then the rows that it appends follow.
    """
    offset: int | None = None
    while True:
        ended = await has_ended()
        rows, after = await asyncio.to_thread(read_rows, path, offset)
        if rows:
            yield rows
        if after == offset:
            if ended:
                return
            await asyncio.sleep(PAUSE_S)
        offset = after


def read_rows(path: Path, offset: int | None) -> tuple[list[Row], int]:
    """The rows of the next complete lines, and the offset after them. Without ``offset``, those at the end."""
    try:
        with _opened(path) as file:
            size = file.seek(0, os.SEEK_END)
            start = file.seek(max(0, size - LIMIT_FILE_BYTES) if offset is None else min(offset, size))
            lines = file.read(LIMIT_FILE_BYTES).split(b"\n")
    except OSError:
        return [], offset or 0
    *complete, rest = lines
    if len(rest) > LIMIT_LINE_BYTES:
        start += len(rest)
    rows = [row for line in complete if len(line) <= LIMIT_LINE_BYTES and (row := metrics_row(line))]
    return rows, start + sum(len(line) + 1 for line in complete)


def _opened(path: Path) -> BinaryIO:
    """A regular file. Raises OSError for anything else."""
    file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(f"{path}: not a file")
    return file


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
