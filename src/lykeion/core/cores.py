"""The processor's cores that this process may use."""

import os


def usable_cores() -> tuple[int, ...]:
    """Their numbers; where the system does not say which, all."""
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))
