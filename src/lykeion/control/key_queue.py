"""A queue of keys: each is queued once, is processed by one worker at a time, and waits longer after each failure."""

import asyncio
from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

FIRST_BACK_OFF_S = 0.1
LAST_BACK_OFF_S = 30.0
LIMIT_DOUBLINGS = 32
"""A power beyond what a float holds is an error, which would come after hours of failures."""


class KeyQueue(Generic[K]):
    """For one event loop. ``get`` a key, process it, then call ``done`` or ``failed`` with it."""

    def __init__(self) -> None:
        self._waiting: deque[K] = deque()
        self._is_waiting: set[K] = set()
        self._working: set[K] = set()
        self._again: set[K] = set()
        self._later: dict[K, asyncio.TimerHandle] = {}
        self._failures: dict[K, int] = {}
        self._rests: dict[K, float] = {}
        self._ready = asyncio.Event()

    def __len__(self) -> int:
        """Those that could be processed now."""
        return len(self._waiting)

    def add(self, key: K) -> None:
        """Queue the key now; if it is being processed, it is processed again afterwards; if it rests, after that."""
        self._cancel(key)
        if (left_s := self._left_s(key)) > 0:
            self.add_after(key, left_s)
        elif key in self._working:
            self._again.add(key)
        elif key not in self._is_waiting:
            self._waiting.append(key)
            self._is_waiting.add(key)
            self._ready.set()

    def add_after(self, key: K, seconds: float) -> None:
        """Queue the key after this time; of several times the earliest counts."""
        loop = asyncio.get_running_loop()
        earlier = self._later.get(key)
        if earlier is None or loop.time() + seconds < earlier.when():
            self._cancel(key)
            self._later[key] = loop.call_later(seconds, self.add, key)

    async def get(self) -> K:
        while not self._waiting:
            self._ready.clear()
            await self._ready.wait()
        key = self._waiting.popleft()
        self._is_waiting.remove(key)
        self._working.add(key)
        return key

    def done(self, key: K, rest_s: float = 0.0) -> None:
        """With ``rest_s`` it is not processed again before this time has passed."""
        self._failures.pop(key, None)
        if rest_s:
            self._rests[key] = asyncio.get_running_loop().time() + rest_s
        self._finish(key)

    def failed(self, key: K) -> None:
        """Queue the key again after a delay, which doubles with each consecutive failure."""
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        self.add_after(key, min(FIRST_BACK_OFF_S * 2 ** min(failures - 1, LIMIT_DOUBLINGS), LAST_BACK_OFF_S))
        self._finish(key)

    def _finish(self, key: K) -> None:
        self._working.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    def _left_s(self, key: K) -> float:
        if key not in self._rests:
            return 0.0
        left_s = self._rests[key] - asyncio.get_running_loop().time()
        if left_s <= 0:
            del self._rests[key]
        return left_s

    def _cancel(self, key: K) -> None:
        if timer := self._later.pop(key, None):
            timer.cancel()
