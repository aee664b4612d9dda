"""A clock that steps of the system's clock do not change: no time limit passes since somebody has set the time."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta


def _system_time() -> datetime:
    return datetime.now(UTC)


def _seconds_since_boot() -> float:
    """With those in which the machine slept, where the system counts them."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def steady_clock(
    system_time: Callable[[], datetime] = _system_time, elapsed_s: Callable[[], float] = _seconds_since_boot
) -> Callable[[], datetime]:
    """The time of day now, and from then on by the seconds that pass."""
    began, from_s = system_time(), elapsed_s()
    return lambda: began + timedelta(seconds=elapsed_s() - from_s)
