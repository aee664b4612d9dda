"""Keeps the logs of running programs from filling the disk."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from .output_log import trim_log

PERIOD_S = 2.0


async def watch_logs(logs: Callable[[], list[Path]]) -> None:
    while True:
        await asyncio.sleep(PERIOD_S)
        if paths := logs():
            await asyncio.to_thread(_trim_all, paths)


def _trim_all(paths: list[Path]) -> None:
    for path in paths:
        trim_log(path)
