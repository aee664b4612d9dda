"""Keys that wait for work."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from lykeion.control.key_queue import FIRST_BACK_OFF_S, LAST_BACK_OFF_S, KeyQueue


def _run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 60))


def test_a_key_waits_once_however_often_it_is_added() -> None:
    async def use() -> None:
        queue: KeyQueue[str] = KeyQueue()
        for key in "aabab":
            queue.add(key)
        assert [await queue.get(), await queue.get()] == ["a", "b"]
        waiting = asyncio.create_task(queue.get())
        await asyncio.sleep(0)
        assert not waiting.done()
        waiting.cancel()

    _run(use())


def test_a_key_that_is_added_during_its_work_is_worked_on_once_more_and_never_by_two() -> None:
    async def use() -> None:
        queue: KeyQueue[str] = KeyQueue()
        queue.add("a")
        assert await queue.get() == "a"
        queue.add("a")
        queue.add("a")
        queue.add("b")
        assert await queue.get() == "b"
        queue.done("a")
        assert await queue.get() == "a"
        queue.done("a")
        queue.add("c")
        assert await queue.get() == "c"

    _run(use())


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=40))
def test_no_key_is_ever_with_two_workers_and_none_is_lost(steps: list[tuple[int, int]]) -> None:
    async def use() -> None:
        queue: KeyQueue[int] = KeyQueue()
        working: set[int] = set()
        worked: list[int] = []
        last_added: dict[int, int] = {}

        async def worker(pauses: int) -> None:
            while True:
                key = await queue.get()
                assert key not in working
                working.add(key)
                worked.append(key)
                for _ in range(pauses):
                    await asyncio.sleep(0)
                working.discard(key)
                queue.done(key)

        workers = [asyncio.create_task(worker(pauses)) for pauses in (0, 2)]
        for key, pauses in steps:
            last_added[key] = len(worked)
            queue.add(key)
            for _ in range(pauses):
                await asyncio.sleep(0)
        for _ in range(200):
            await asyncio.sleep(0)
        for each in workers:
            each.cancel()
        assert all(key in worked[start:] for key, start in last_added.items())

    _run(use())


def test_a_key_that_fails_waits_longer_each_time_and_not_longer_than_the_last_back_off(monkeypatch: Any) -> None:
    async def use() -> None:
        queue: KeyQueue[str] = KeyQueue()
        waits: list[float] = []
        monkeypatch.setattr(queue, "add_after", lambda key, seconds: waits.append(seconds))
        for _ in range(1100):  # hours: the powers of two do not fit a float then
            queue.add("a")
            queue.failed(await queue.get())
        assert waits[:3] == [FIRST_BACK_OFF_S, 2 * FIRST_BACK_OFF_S, 4 * FIRST_BACK_OFF_S]
        assert waits[-1] == LAST_BACK_OFF_S
        queue.add("a")
        queue.done(await queue.get())
        queue.add("a")
        queue.failed(await queue.get())
        assert waits[-1] == FIRST_BACK_OFF_S

    _run(use())


def test_of_two_times_the_earlier_counts() -> None:
    async def use() -> None:
        queue: KeyQueue[str] = KeyQueue()
        queue.add_after("a", 1000.0)
        queue.add_after("a", 0.0)
        queue.add_after("a", 2000.0)
        assert await queue.get() == "a"

    _run(use())


def test_a_key_that_rests_is_worked_on_once_after_what_is_added_meanwhile() -> None:
    async def use() -> None:
        queue: KeyQueue[str] = KeyQueue()
        queue.add("a")
        assert await queue.get() == "a"
        queue.add("a")
        queue.done("a", rest_s=0.05)
        queue.add("a")
        queue.add("b")
        assert await queue.get() == "b"
        assert len(queue) == 0
        assert await queue.get() == "a"
        queue.add("c")
        assert await queue.get() == "c"

    _run(use())
