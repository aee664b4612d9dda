"""The identity of a process: its ID, its start in clock ticks since boot, and the boot. Never a time of day.

An ID alone is not enough, since the system may reuse it for another process.
"""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


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
        """Whether exactly this process runs, or has ended and was not waited for yet."""
        return self.boot == boot_id() and process_start(self.pid) == self.start

    def signal_group(self, number: signal.Signals) -> bool:
        """Signal the group if its leader is alive; otherwise return False, since the ID may have been reused."""
        if not self.is_alive():
            return False
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)
        return True


def process_start(pid: int) -> str:
    """Empty if there is no such process."""
    if sys.platform == "linux":
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
        except (OSError, IndexError):
            return ""
    shown = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True)
    return "_".join(["", *shown.stdout.split(), ""])[1:] if shown.stdout.strip() else ""


def boot_id() -> str:
    if sys.platform == "linux":
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    shown = subprocess.run(["sysctl", "-n", "kern.bootsessionuuid"], capture_output=True, text=True)
    return shown.stdout.strip()


def kill_marked(variable: str, value: str) -> int:
    """Kill every process of this user whose environment has the variable, and return their number. Linux only.

    For the rest of a group without its leader, and for programs that have left the group.
    """
    marked = f"{variable}={value}".encode()
    killed = 0
    for directory in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if marked in (directory / "environ").read_bytes().split(b"\0"):
                os.kill(int(directory.name), signal.SIGKILL)
                killed += 1
    return killed
