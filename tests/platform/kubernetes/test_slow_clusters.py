"""A cluster that is slow or silent holds up the steps that run in it, and nothing else."""

import asyncio
from typing import Any

import pytest

from lykeion.control import ControlLoop
from lykeion.core import Unavailable
from lykeion.platform.controllers.pipeline_run_controller import PIPELINE_RUNS
from lykeion.platform.resources.program import Program
from lykeion.platform.resources.step_pipeline import PIPELINE_RUN, PipelineRunSpec, PipelineStep

from .two_clusters import TwoClusters, store_of, with_both

STEPS = 250
LOCAL = 30
WORKERS = 16
PROGRAM = Program(command=("true",))


async def _apply(both: TwoClusters, name: str, **step: Any) -> None:
    steps = (PipelineStep(name="train", program=PROGRAM, **step),)
    await both.store.create(PIPELINE_RUN.new(name, PipelineRunSpec(steps=steps), namespace="shop"))


def _loop(both: TwoClusters) -> ControlLoop:
    store = store_of(both.here)
    answers = both.remote().answers()
    return ControlLoop(store, [PIPELINE_RUNS], answers, set_finalizer=store.set_finalizer, workers=WORKERS)


def test_hundreds_of_steps_in_a_silent_cluster_hold_up_no_step_here() -> None:
    async def use(both: TwoClusters) -> None:
        for number in range(STEPS):
            await _apply(both, f"a-far-{number}", cluster="gke")
        both.there.silent = True
        running = asyncio.create_task(_loop(both).run())
        await both.there.until(lambda: both.there.waiting)
        for number in range(LOCAL):
            await _apply(both, f"near-{number}")
        await both.here.until(lambda: len(both.here.kept("works")) == LOCAL)
        assert both.there.answered == 0
        assert 0 < both.there.waiting < WORKERS
        both.there.speak()
        await both.there.until(lambda: len(both.there.kept("pipelineruns")) == STEPS)
        assert both.there.created("pipelineruns") == STEPS
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    with_both(use, answer_s=3600.0)


def test_who_waited_for_a_silent_cluster_hears_that_it_is_away_and_asks_it_no_more() -> None:
    async def use(both: TwoClusters) -> None:
        both.there.silent = True
        reach = both.reach()
        asked = [reach.use("gke", "shop", lambda client: client.get("/", "it")) for _ in range(20)]
        found = await asyncio.gather(*asked, return_exceptions=True)
        assert {str(each) for each in found} == {"the cluster gke: no answer within 0.05 s"}
        both.now = 0.5
        with pytest.raises(Unavailable, match="no answer"):
            await reach.use("gke", "shop", lambda client: client.get("/", "it"))
        assert both.there.waiting == 0
        both.there.speak()
        both.now = 1.0  # after one pause: twenty that failed together have failed once
        assert await reach.use("gke", "shop", lambda client: client.get("/", "it", {"limit": "1"}))

    with_both(use, answer_s=0.05)
