"""Places of the loop: how many steps are at work at once, and how many questions wait for one source's answer."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

from lykeion.core import Unavailable

QUESTIONS = 8
"""To one source at a time."""
LIMIT_WAIT_S = 15.0
"""For one's turn: longer than a source is given to answer, so that who waits behind a silent one hears its error."""


class NotAsked(Unavailable):
    """The source is busy with other questions, so that nothing is known: ask again later."""


class StepPlaces:
    """``steps`` are at work at once. One that waits for an answer from outside leaves its place to another.

    So a source that is slow or silent holds up those who ask it, and no others. Without ``are_left`` a step keeps its
    place meanwhile.
    """

    def __init__(
        self, steps: int, questions: int = QUESTIONS, limit_wait_s: float = LIMIT_WAIT_S, *, are_left: bool = True
    ) -> None:
        self._steps, self._questions, self._limit_wait_s = asyncio.Semaphore(steps), questions, limit_wait_s
        self._are_left = are_left
        self._asking: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        """By source; those that nobody asks are forgotten."""

    async def take(self) -> None:
        await self._steps.acquire()

    def give_back(self) -> None:
        self._steps.release()

    @asynccontextmanager
    async def left_to_ask(self, source: str) -> AsyncGenerator[None]:
        """Without the place, and with one at the source. Raises NotAsked."""
        async with self._left(), self._turn(source):
            yield

    @asynccontextmanager
    async def _left(self) -> AsyncGenerator[None]:
        if not self._are_left:
            yield
            return
        self.give_back()
        try:
            yield
        finally:
            await self.take()

    @asynccontextmanager
    async def _turn(self, source: str) -> AsyncGenerator[None]:
        turns = self._asking.setdefault(source, asyncio.Semaphore(self._questions))
        try:
            async with asyncio.timeout(self._limit_wait_s):
                await turns.acquire()
        except TimeoutError:
            raise NotAsked(
                f"{source}: {self._questions} others have waited {self._limit_wait_s:g} s for it"
            ) from None
        try:
            yield
        finally:
            turns.release()
