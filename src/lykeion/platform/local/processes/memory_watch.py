"""Watches the memory of limited programs, where no control group does."""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

from .resident_memory import MemoryLimit, ResidentMemory

PERIOD_S = 0.5


async def watch_memory(limits: Callable[[], list[MemoryLimit]], exceeded: Callable[[Path], None]) -> None:
    """Call ``exceeded`` with the directory of each attempt that uses more than its limit.

    ``limits`` is called in a thread; while it returns none, no process is looked at.
    """
    memory = ResidentMemory()
    while sys.platform == "linux":
        await asyncio.sleep(PERIOD_S)
        watched = await asyncio.to_thread(limits)
        for each in await asyncio.to_thread(memory.exceeded, watched) if watched else ():
            exceeded(each.directory)
