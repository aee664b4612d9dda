"""Steps that wait for an answer from outside hold up nobody but those who ask the same source."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lykeion.control import ControlLoop, Decision, Lookup, NotAsked, Observed, ResourceController, SqliteStore
from lykeion.control.step_places import StepPlaces

from .lamps import KINDS, LAMP, LampStatus, lamp


def _run(use: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(60):
            await use()

    asyncio.run(main())


def test_a_source_is_asked_a_few_questions_at_once_and_others_beside_it() -> None:
    async def use() -> None:
        places, asked, silence = StepPlaces(1, questions=2), list[str](), asyncio.Event()

        async def step(source: str) -> None:
            await places.take()
            async with places.left_to_ask(source):
                asked.append(source)
                await silence.wait()
            places.give_back()

        steps = [asyncio.create_task(step(each)) for each in ("registry", "registry", "registry", "git")]
        while len(asked) < 3:
            await asyncio.sleep(0)
        assert sorted(asked) == ["git", "registry", "registry"]
        silence.set()
        await asyncio.gather(*steps)
        assert sorted(asked) == ["git", "registry", "registry", "registry"]

    _run(use)


def test_who_gets_no_turn_is_told_so_and_has_its_place_again() -> None:
    async def use() -> None:
        places, silence = StepPlaces(2, questions=1, limit_wait_s=0.01), asyncio.Event()

        async def ask() -> None:
            await places.take()
            try:
                async with places.left_to_ask("the cluster gke"):
                    await silence.wait()
            finally:
                places.give_back()

        first = asyncio.create_task(ask())
        await asyncio.sleep(0)
        with pytest.raises(NotAsked, match=r"the cluster gke: 1 others have waited 0\.01 s for it"):
            await ask()
        silence.set()
        await first
        await ask()

    _run(use)


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["answers", "raises", "is cancelled"])), max_size=12)
)
def test_however_questions_end_all_places_are_free_afterwards(questions: list[tuple[str, str]]) -> None:
    async def use() -> None:
        places, at_work, most = StepPlaces(3, questions=2), 0, 0

        async def step(source: str, end: str) -> None:
            nonlocal at_work, most
            await places.take()
            try:
                async with places.left_to_ask(source):
                    await (asyncio.Event().wait() if end == "is cancelled" else asyncio.sleep(0))
                    if end == "raises":
                        raise ValueError
                at_work += 1
                most = max(most, at_work)
                await asyncio.sleep(0)
                at_work -= 1
            finally:
                places.give_back()

        steps = [asyncio.create_task(step(*each)) for each in questions]
        for _ in range(20):
            await asyncio.sleep(0)
        for task, (_, end) in zip(steps, questions, strict=True):
            if end == "is cancelled":
                task.cancel()
        await asyncio.gather(*steps, return_exceptions=True)
        assert most <= 3
        for _ in range(3):
            await places.take()
        for source in "ab":
            async with places.left_to_ask(source):
                pass

    _run(use)


@dataclass(frozen=True)
class Weather(Lookup):
    """Of which nobody knows anything."""


@pytest.mark.parametrize("workers", [1, 2])
def test_resources_that_ask_nothing_are_reconciled_while_all_others_wait(tmp_path: Path, workers: int) -> None:
    asked, silence = list[Lookup](), asyncio.Event()

    def reconcile(resource: Any, observed: Observed, now: datetime) -> Decision:
        if resource.metadata.name.startswith("far") and Weather() not in observed.read:
            return Decision(resource.status, reads=(Weather(),))
        return Decision(LampStatus(lit=1))

    async def weather(lookup: Weather) -> str:
        asked.append(lookup)
        await silence.wait()
        return "fine"

    async def use() -> None:
        store = SqliteStore(tmp_path / "state.db", KINDS)
        for number in range(20):
            await store.create(lamp(f"far-{number}"))
        loop = ControlLoop(store, [ResourceController(LAMP, (), reconcile)], {Weather: weather}, workers=workers)
        running = asyncio.create_task(loop.run())
        while not asked:
            await asyncio.sleep(0.01)
        for number in range(20):
            await store.create(lamp(f"near-{number}"))
        while len(await _lit(store)) < 20:
            await asyncio.sleep(0.01)
        assert all(each.startswith("near") for each in await _lit(store))
        assert len(asked) <= 8
        silence.set()
        while len(await _lit(store)) < 40:
            await asyncio.sleep(0.01)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await store.close()

    _run(use)


def test_in_turn_no_step_begins_while_another_waits_for_an_answer(tmp_path: Path) -> None:
    asking, most = 0, 0

    def reconcile(resource: Any, observed: Observed, now: datetime) -> Decision:
        if Weather() not in observed.read:
            return Decision(resource.status, reads=(Weather(),))
        return Decision(LampStatus(lit=1))

    async def weather(lookup: Weather) -> str:
        nonlocal asking, most
        asking += 1
        most = max(most, asking)
        await asyncio.sleep(0.001)
        asking -= 1
        return "fine"

    async def use() -> None:
        store = SqliteStore(tmp_path / "state.db", KINDS)
        for number in range(10):
            await store.create(lamp(f"l-{number}"))
        loop = ControlLoop(store, [ResourceController(LAMP, (), reconcile)], {Weather: weather}, in_turn=True)
        running = asyncio.create_task(loop.run())
        while len(await _lit(store)) < 10:
            await asyncio.sleep(0.01)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await store.close()

    _run(use)
    assert most == 1


async def _lit(store: SqliteStore) -> list[str]:
    return [each.metadata.name for each in (await store.listing(LAMP)).items if each.status.lit]
