"""Engines and the requests that wait for them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import numpy as np
import pytest

from lykeion.engines import ModelError
from lykeion.model_server.batcher import Batcher
from lykeion.model_server.engine_lanes import LaneEngines
from lykeion.model_server.errors import EngineFailed
from lykeion.model_server.row_queue import RowPlan
from lykeion.web_kit import Busy

from .tiny import HeldEngine, lane

PLAN = RowPlan(together=4, least=2)


def values(number: int, count: int = 1) -> np.ndarray:
    return np.full((count, 2), number, np.float32)


@asynccontextmanager
async def batching(*engines: HeldEngine, waiting: int = 8) -> AsyncIterator[Batcher]:
    batcher = Batcher([lane(engine) for engine in engines], PLAN, waiting=waiting)
    yield batcher
    for engine in engines:
        engine.goes_on.release(100)
    await asyncio.to_thread(batcher.close)


async def running(engine: HeldEngine) -> None:
    """Once the engine has begun its next run."""
    await asyncio.to_thread(engine.runs.acquire)


def run(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 60))


def test_a_request_runs_at_once_and_those_that_came_meanwhile_run_together() -> None:
    async def test() -> None:
        engine = HeldEngine()
        async with batching(engine) as batcher:
            first = asyncio.create_task(batcher.run(values(0)))
            await running(engine)
            later = [asyncio.create_task(batcher.run(values(number))) for number in range(1, 6)]
            await asyncio.sleep(0)
            engine.goes_on.release(100)
            found = await asyncio.gather(first, *later)
            assert [each["x"][0, 0] for each in found] == [0, 2, 4, 6, 8, 10]
            assert engine.batches == [1, 4, 1]

    run(test)


def test_all_idle_engines_share_the_rows_of_one_request() -> None:
    async def test() -> None:
        engines = HeldEngine(), HeldEngine()
        async with batching(*engines) as batcher:
            task = asyncio.create_task(batcher.run(values(3, 4)))
            for engine in engines:
                await running(engine)
                engine.goes_on.release(100)
            assert (await task)["x"].tolist() == [[6, 6]] * 4
            assert [engine.batches for engine in engines] == [[4], [4]], "two rows each, filled up"

    run(test)


def test_more_requests_than_may_wait_are_refused_at_once() -> None:
    async def test() -> None:
        engine = HeldEngine()
        async with batching(engine, waiting=2) as batcher:
            tasks = [asyncio.create_task(batcher.run(values(0)))]
            await running(engine)
            tasks += [asyncio.create_task(batcher.run(values(number))) for number in (1, 2)]
            await asyncio.sleep(0)
            with pytest.raises(Busy, match="too many requests"):
                await batcher.run(values(3))
            engine.goes_on.release(100)
            await asyncio.gather(*tasks)

    run(test)


def test_a_request_that_was_given_up_is_not_run() -> None:
    async def test() -> None:
        engine = HeldEngine()
        async with batching(engine) as batcher:
            first = asyncio.create_task(batcher.run(values(0)))
            await running(engine)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.001):
                    await batcher.run(values(1))
            engine.goes_on.release(100)
            await first
            await batcher.run(values(2))
            assert engine.batches == [1, 1]

    run(test)


class Failing(HeldEngine):
    def run(self, *values: np.ndarray) -> dict[str, np.ndarray]:
        if values[0][0, 0] == 7:
            raise ModelError("out of luck")
        if values[0][0, 0] == 8:
            raise MemoryError
        return super().run(*values)


def test_a_failure_of_the_engine_is_told_to_its_requests_and_the_next_is_run() -> None:
    async def test() -> None:
        engine = Failing()
        engine.goes_on.release(100)
        async with batching(engine) as batcher:
            with pytest.raises(EngineFailed, match="out of luck"):
                await batcher.run(values(7))
            with pytest.raises(MemoryError):
                await batcher.run(values(8))
            assert (await batcher.run(values(1)))["x"][0, 0] == 2

    run(test)


def test_only_a_request_that_is_alone_has_several_threads() -> None:
    async def test() -> None:
        single, batch, wide = HeldEngine(), HeldEngine(), HeldEngine()
        batcher = Batcher([LaneEngines(single, batch, wide)], PLAN, waiting=8)
        alone = asyncio.create_task(batcher.run(values(0)))
        await running(wide)
        more = [asyncio.create_task(batcher.run(values(0))) for _ in range(5)]
        await asyncio.sleep(0)
        for engine in (wide, batch, single):
            engine.goes_on.release(100)
        await asyncio.gather(alone, *more)
        await asyncio.to_thread(batcher.close)
        assert (wide.batches, batch.batches, single.batches) == ([1, 1], [4], []), "the last was alone again"

    run(test)


def test_at_the_end_runs_are_finished_and_what_waits_is_refused() -> None:
    async def test() -> None:
        engine = HeldEngine()
        batcher = Batcher([lane(engine)], PLAN, waiting=8)
        first = asyncio.create_task(batcher.run(values(1)))
        await running(engine)
        second = asyncio.create_task(batcher.run(values(2)))
        await asyncio.sleep(0)
        closing = asyncio.create_task(asyncio.to_thread(batcher.close))
        with pytest.raises(Busy, match="shutting down"):
            await second
        engine.goes_on.release()
        assert (await first)["x"][0, 0] == 2
        await closing
        with pytest.raises(Busy, match="shutting down"):
            await batcher.run(values(3))

    run(test)
