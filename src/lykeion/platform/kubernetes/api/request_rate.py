"""How fast requests may be sent: a bucket of tokens, which the server can close for a time."""

import asyncio
import math
import time
from collections.abc import Callable

REQUESTS_PER_S = 50.0
BURST = 100


class RequestRate:
    """``wait`` returns when a request may be sent: ``burst`` at once, then ``per_s``; in the order of the calls."""

    def __init__(
        self, per_s: float = REQUESTS_PER_S, burst: int = BURST, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._every_s, self._spare_s, self._now = 1 / per_s, (burst - 1) / per_s, now
        self._next = -math.inf

    async def wait(self) -> None:
        """The bucket as the time at which the next token is due: the generic cell rate algorithm."""
        due = self.take()
        if due > 0:
            await asyncio.sleep(due)

    def take(self) -> float:
        """Take a token. Returns the seconds until it is valid."""
        now = self._now()
        self._next = max(self._next, now - self._spare_s) + self._every_s
        return max(0.0, self._next - self._every_s - now)

    def close(self, seconds: float) -> None:
        """No request before this time has passed."""
        self._next = max(self._next, self._now() + seconds)
