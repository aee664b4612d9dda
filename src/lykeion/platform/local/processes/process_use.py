"""What processes use of the machine, from ``/proc``."""

import os
from collections.abc import Generator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICKS_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class ProcessUse:
    """``start`` is in clock ticks since boot; ``cpu_seconds`` are those of its ended children as well."""

    pid: int
    start: str
    parent: int
    session: int
    resident_bytes: int
    cpu_seconds: float


def all_processes() -> Generator[ProcessUse]:
    """https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html; nothing where there is no ``/proc``."""
    with suppress(FileNotFoundError), os.scandir("/proc") as entries:
        for entry in entries:
            if entry.name.isdecimal():
                with suppress(OSError, IndexError):
                    fields = Path(entry.path, "stat").read_text(errors="replace").rpartition(")")[2].split()
                    yield ProcessUse(
                        pid=int(entry.name),
                        start=fields[19],
                        parent=int(fields[1]),
                        session=int(fields[3]),
                        resident_bytes=int(fields[21]) * _PAGE,
                        cpu_seconds=sum(map(int, fields[11:15])) / _TICKS_S,
                    )
