"""How much memory attempts use, from ``/proc``: for machines on which no control group limits them."""

import os
from collections.abc import Generator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from .attempt_directory import MARK

_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class MemoryLimit:
    """Of an attempt, whose processes are those in the session of ``leader`` and those marked with its directory."""

    directory: Path
    leader: int
    limit_bytes: int


@dataclass(frozen=True)
class _Process:
    pid: int
    start: str
    session: int
    resident: int


class ResidentMemory:
    """Remembers which processes are marked, so that the environment of each is read once."""

    def __init__(self) -> None:
        self._marks: dict[tuple[int, str], str] = {}

    def exceeded(self, limits: list[MemoryLimit]) -> list[MemoryLimit]:
        """Those limits that are exceeded.

        All resident memory is an upper bound that is cheap to read. Only where it is above the limit, files are left
        out, since the kernel can drop them, and what processes share is divided among them.
        """
        processes = self._by_attempt(limits)
        suspects = [each for each in limits if _resident(processes[str(each.directory)]) > each.limit_bytes]
        return [each for each in suspects if sum(map(_own, processes[str(each.directory)])) > each.limit_bytes]

    def _by_attempt(self, limits: list[MemoryLimit]) -> Mapping[str, list[_Process]]:
        found: dict[str, list[_Process]] = {str(each.directory): [] for each in limits}
        leaders = {each.leader: str(each.directory) for each in limits}
        marks: dict[tuple[int, str], str] = {}
        for process in _processes():
            identity = process.pid, process.start
            mark = leaders.get(process.session) or self._marks.get(identity)
            marks[identity] = mark = _mark(process.pid) if mark is None else mark
            if mark in found:
                found[mark].append(process)
        self._marks = marks
        return found


def _processes() -> Generator[_Process]:
    with os.scandir("/proc") as entries:
        for entry in entries:
            if entry.name.isdecimal():
                with suppress(OSError, IndexError):
                    fields = Path(entry.path, "stat").read_text(errors="replace").rpartition(")")[2].split()
                    yield _Process(int(entry.name), fields[19], int(fields[3]), int(fields[21]) * _PAGE)


def _mark(pid: int) -> str:
    with suppress(OSError):
        for variable in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
            if variable.startswith(f"{MARK}=".encode()):
                return os.fsdecode(variable.partition(b"=")[2])
    return ""


def _resident(processes: list[_Process]) -> int:
    return sum(each.resident for each in processes)


def _own(process: _Process) -> int:
    """Bytes of its own memory, with its part of what it shares; 0 if it has ended.

    https://docs.kernel.org/filesystems/proc.html, since Linux 5.4
    """
    try:
        lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    except OSError:
        return process.resident
    wanted = ("Pss_Anon:", "Pss_Shmem:")
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith(wanted))
