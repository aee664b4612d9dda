"""The machine that an engine runs on: its description, and pinning threads to some of its cores."""

import os
import platform
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lykeion.core import core_count

_CPUINFO, _STATUS = Path("/proc/cpuinfo"), Path("/proc/self/status")


@dataclass(frozen=True, slots=True)
class Machine:
    """``cores`` is how many this process may keep busy; ``memory_bytes`` is 0 if the system does not report it."""

    processor: str
    cores: int
    memory_bytes: int
    system: str


def this_machine() -> Machine:
    known = hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if known else 0
    return Machine(processor(), core_count(), memory, f"{platform.system()} {platform.machine()}")


def keep_to(cores: tuple[int, ...]) -> None:
    """Pin this thread, and those that it starts from now on, to these cores, if the system supports it (Linux)."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)


def processor() -> str:
    """The name of the processor, or the system on chip, as the operating system reports it."""
    if _CPUINFO.exists():
        return named_in(_CPUINFO.read_text(errors="replace")) or platform.machine()
    return platform.processor() or platform.machine()


def named_in(cpuinfo: str) -> str:
    """The name in the text of /proc/cpuinfo: ``Hardware`` on ARM, else ``model name``; "" if there is none."""
    fields: dict[str, str] = {}
    for line in cpuinfo.splitlines():
        name, colon, value = line.partition(":")
        if colon:
            fields.setdefault(name.strip(), value.strip())
    return fields.get("Hardware") or fields.get("model name", "")


def peak_bytes() -> int:
    """The peak memory of this process; 0 if the system does not report it.

    On Linux this is not getrusage's value, which a process inherits from its parent.
    """
    try:
        match = re.search(r"VmHWM:\s+(\d+) kB", _STATUS.read_text())
        return int(match[1]) << 10 if match else 0
    except OSError:
        pass
    try:
        import resource
    except ImportError:  # Windows
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


@contextmanager
def pinned(cores: int) -> Iterator[None]:
    """Pin this thread, and those that it starts, to this many cores, the last ones, if the system supports it
    (Linux)."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[-cores:])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
