"""The machine that an engine runs on: its processor's name, and keeping to some of its cores."""

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")


def processor() -> str:
    """The processor, or the system on chip, as the operating system calls it."""
    if _CPUINFO.exists():
        return named_in(_CPUINFO.read_text(errors="replace")) or platform.machine()
    return platform.processor() or platform.machine()


def named_in(cpuinfo: str) -> str:
    """The name in the text of /proc/cpuinfo: ``Hardware`` on ARM, else ``model name``; "" where there is none."""
    fields: dict[str, str] = {}
    for line in cpuinfo.splitlines():
        name, colon, value = line.partition(":")
        if colon:
            fields.setdefault(name.strip(), value.strip())
    return fields.get("Hardware") or fields.get("model name", "")


@contextmanager
def pinned(cores: int) -> Iterator[None]:
    """Keep this thread, and those that it starts, to so many cores, the last ones; where the system can (Linux)."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[-cores:])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
