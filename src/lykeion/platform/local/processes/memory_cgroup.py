"""Limits of memory that the kernel enforces: a control group for each attempt, below one that was delegated to us.

https://docs.kernel.org/admin-guide/cgroup-v2.html
"""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

OUR_LEAF = "platform"
"""The control group in which the platform itself must run, below the delegated one, which holds no processes."""


def delegated_cgroup(root: Path = Path("/")) -> Path | None:
    """The control group below which this process may limit memory, if any.

    systemd provides it to a service with ``Delegate=memory`` and ``DelegateSubgroup=platform``. ``root`` holds the
    ``proc`` and ``sys`` to read.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
        ours = next((line.removeprefix("0::/") for line in lines if line.startswith("0::/")), "")
        group = (root / "sys/fs/cgroup" / ours).parent
        if Path(ours).name != OUR_LEAF or "memory" not in (group / "cgroup.controllers").read_text().split():
            return None
        (group / "cgroup.subtree_control").write_text("+memory")
    except OSError:
        return None
    return group


@dataclass(frozen=True)
class MemoryCgroup:
    """The control group of one attempt. What joins it is killed as a whole when it needs more than its limit."""

    path: Path

    @classmethod
    def create(cls, path: Path, limit_bytes: int) -> "MemoryCgroup":
        """Raises OSError."""
        path.mkdir(exist_ok=True)
        (path / "memory.max").write_text(str(limit_bytes))
        (path / "memory.oom.group").write_text("1")
        if (path / "memory.swap.max").exists():  # else the limit would only make the program slow
            (path / "memory.swap.max").write_text("0")
        return cls(path)

    def ran_out(self) -> bool:
        """Whether the kernel has killed it since it needed more memory."""
        with suppress(OSError, ValueError):
            counts = dict(line.split() for line in (self.path / "memory.events").read_text().splitlines())
            return int(counts.get("oom_kill", 0)) > 0
        return False

    def kill(self) -> None:
        with suppress(OSError):
            (self.path / "cgroup.kill").write_text("1")

    def remove(self) -> None:
        """Once nothing is left in it."""
        with suppress(OSError):
            self.path.resolve().rmdir()
