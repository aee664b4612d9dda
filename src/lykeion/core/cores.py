"""The CPU cores that this process may use."""

import math
import os
from functools import cache
from pathlib import Path, PurePosixPath


def usable_cores() -> tuple[int, ...]:
    """Their numbers; all cores where the system does not say which are usable."""
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


def core_count(root: Path = Path("/")) -> int:
    """How many cores can be kept busy: the usable ones, or fewer, rounded up, where a control group's quota says so.

    ``root`` holds the ``proc`` and ``sys`` to read.
    """
    return max(1, math.ceil(min(len(usable_cores()), _quota(root))))


@cache
def _quota(root: Path) -> float:
    """The lowest quota, in cores, of this process's control groups and their parents; infinite if there is none."""
    quotas = [math.inf]
    for line in _read(root / "proc/self/cgroup").splitlines():
        controllers, _, group = line.partition(":")[2].partition(":")
        if controllers and "cpu" not in controllers.split(","):
            continue
        mounted = root / ("sys/fs/cgroup/cpu" if controllers else "sys/fs/cgroup")
        names = PurePosixPath(group.lstrip("/"))
        for directory in (mounted / names, *(mounted / parent for parent in names.parents)):
            # Where a container sees only its own group, the path from the host does not exist and is skipped.
            quotas += [_cores(_read(directory / "cpu.max"))]
            quotas += [_cores(f"{_read(directory / 'cpu.cfs_quota_us')} {_read(directory / 'cpu.cfs_period_us')}")]
    return min(quotas)


def _cores(text: str) -> float:
    """``QUOTA PERIOD``, in microseconds; anything else, such as ``max PERIOD`` or ``-1 PERIOD``, is no limit."""
    try:
        quota, period = map(int, text.split())
        return quota / period if quota > 0 and period > 0 else math.inf
    except (ValueError, OverflowError):
        return math.inf


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except (OSError, ValueError):
        return ""
