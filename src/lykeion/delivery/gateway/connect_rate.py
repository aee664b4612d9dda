"""Admission: so many connections a second; the others are told when to come back, at the same rate."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

CONNECTS_A_SECOND = 500
MOST_S = 300
"""Nobody is told to wait longer."""


@dataclass
class ConnectRate:
    a_second: float = CONNECTS_A_SECOND
    clock: Callable[[], float] = time.monotonic
    _free_at: float = field(default=0.0, init=False)
    """When the places are free that were given so far."""
    _told_at: float = field(default=0.0, init=False)
    """When the last that was refused is to come back."""
    refused: int = field(default=0, init=False)

    def take(self) -> int:
        """0 if the caller may connect now; else after how many seconds to come back. Each that is refused is told a
        later time, so that they do not come together. It holds no place until then: whoever does not come back, or
        asks again and again, takes none from the others."""
        now = self.clock()
        self._free_at = max(self._free_at, now - 1)
        if self._free_at <= now:
            self._free_at += 1 / self.a_second
            return 0
        self.refused += 1
        self._told_at = min(max(self._told_at, self._free_at) + 1 / self.a_second, now + MOST_S)
        return max(1, math.ceil(self._told_at - now))
