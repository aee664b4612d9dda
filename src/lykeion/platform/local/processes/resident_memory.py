"""How much memory attempts use, from ``/proc``: for machines on which no control group limits them."""

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from .attempt_directory import MARK
from .process_use import ProcessUse, all_processes


@dataclass(frozen=True)
class MemoryLimit:
    """Of an attempt: its processes are those in the session of ``leader``, those marked with its directory, and what
    they have started, such as a container."""

    directory: Path
    leader: int
    limit_bytes: int


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

    def _by_attempt(self, limits: list[MemoryLimit]) -> Mapping[str, list[ProcessUse]]:
        found: dict[str, list[ProcessUse]] = {str(each.directory): [] for each in limits}
        leaders = {each.leader: str(each.directory) for each in limits}
        marks: dict[tuple[int, str], str] = {}
        processes = {each.pid: each for each in all_processes()}
        for process in processes.values():
            identity = process.pid, process.start
            mark = leaders.get(process.session) or self._marks.get(identity)
            marks[identity] = _mark(process.pid) if mark is None else mark
        self._marks = marks
        for process in processes.values():
            ancestor: ProcessUse | None = process
            while ancestor and not marks[ancestor.pid, ancestor.start]:
                ancestor = processes.get(ancestor.parent)
            if ancestor and (mark := marks[ancestor.pid, ancestor.start]) in found:
                found[mark].append(process)
        return found


def _mark(pid: int) -> str:
    with suppress(OSError):
        for variable in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
            if variable.startswith(f"{MARK}=".encode()):
                return os.fsdecode(variable.partition(b"=")[2])
    return ""


def _resident(processes: list[ProcessUse]) -> int:
    return sum(each.resident_bytes for each in processes)


def _own(process: ProcessUse) -> int:
    """Bytes of its own memory, with its part of what it shares; 0 if it has ended.

    https://docs.kernel.org/filesystems/proc.html, since Linux 5.4
    """
    try:
        lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    except OSError:
        return process.resident_bytes
    wanted = ("Pss_Anon:", "Pss_Shmem:")
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith(wanted))
