"""The identity of a process: its ID, its start in clock ticks since boot, and the boot. Never a time of day.

An ID alone is not enough, since the system may reuse it for another process.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PASSES = 5
_PAUSE_S = 0.01


@dataclass(frozen=True)
class ProcessIdentity:
    """As the shim wrote it; the process is the leader of its process group."""

    pid: int
    start: str
    boot: str

    @classmethod
    def parse(cls, text: str) -> "ProcessIdentity | None":
        parts = text.split()
        return cls(int(parts[0]), parts[1], parts[2]) if len(parts) == 3 and parts[0].isdigit() else None

    def is_alive(self) -> bool:
        """Whether exactly this process runs; one that has ended and was not waited for does not."""
        return self.boot == boot_id() and process_start(self.pid) == self.start

    def signal_group(self, number: signal.Signals) -> bool:
        """Signal the group if its leader is alive; otherwise return False, since the ID may have been reused."""
        if not self.is_alive():
            return False
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)
        return True


def process_start(pid: int) -> str:
    """Empty if no such process runs."""
    if sys.platform == "linux":
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            return "" if fields[0] in "ZX" else fields[19]
        except (OSError, IndexError):
            return ""
    shown = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True)
    return "_".join(["", *shown.stdout.split(), ""])[1:] if shown.stdout.strip() else ""


def boot_id() -> str:
    if sys.platform == "linux":
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    shown = subprocess.run(["sysctl", "-n", "kern.bootsessionuuid"], capture_output=True, text=True)
    return shown.stdout.strip()


def kill_marked(variable: str, values: Collection[str]) -> int:
    """Kill every process of this user in whose environment the variable has one of these values. Linux only.

    Returns their number.

    For the rest of a group without its leader, and for programs that have left the group. Processes that fork, or
    have no environment yet since they execute a program just now, are found by looking again.
    """
    killed: set[int] = set()
    for _ in range(_PASSES):
        marked, starting = _marked({os.fsencode(f"{variable}={value}") for value in values})
        for pid in marked:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        if not (marked - killed) and not starting:
            break
        killed |= marked
        time.sleep(_PAUSE_S)
    return len(killed)


def _marked(marks: set[bytes]) -> tuple[set[int], bool]:
    """The processes with a mark, and whether there are some whose environment cannot be read yet."""
    marked: set[int] = set()
    starting = False
    for directory in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            environment = (directory / "environ").read_bytes()
            if not marks.isdisjoint(environment.split(b"\0")):
                marked.add(int(directory.name))
            elif not environment and (directory / "exe").readlink():  # threads of the kernel and zombies have none
                starting = True
    return marked, starting
