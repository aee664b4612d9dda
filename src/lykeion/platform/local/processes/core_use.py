"""How many cores programs use, between one look and the next."""

import time
from collections.abc import Callable, Collection

from lykeion.core import Unavailable

from .process_use import all_processes


class CoreUse:
    """Remembers the CPU time at the last look. ``clock`` is in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: dict[str, tuple[float, dict[int, float]]] = {}

    def since_last(self, owner: str, leaders: Collection[int]) -> float:
        """Cores that the sessions of ``leaders`` used on average. Raises Unavailable at an owner's first look."""
        now, used = self._clock(), _cpu_seconds(leaders)
        then, before = self._last.get(owner, (now, used))
        self._last[owner] = now, used
        if now <= then:
            raise Unavailable("how many cores are used is known from the second look on")
        return sum(max(0.0, seconds - before.get(leader, 0.0)) for leader, seconds in used.items()) / (now - then)


def _cpu_seconds(leaders: Collection[int]) -> dict[int, float]:
    used = dict.fromkeys(leaders, 0.0)
    for process in all_processes():
        if process.session in used:
            used[process.session] += process.cpu_seconds
    return used
