"""A cluster that is slow or silent holds up the steps that run in it, and nothing else."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from lykeion.control import ControlLoop
from lykeion.core import Unavailable
from lykeion.platform.controllers.pipeline_run_controller import PIPELINE_RUNS
from lykeion.platform.kubernetes.api.server_answers import ClusterError
from lykeion.platform.kubernetes.other_clusters.remote_runs import SWEPT_AT_ONCE
from lykeion.platform.lookups import RemoteRun
from lykeion.platform.resources.pipelines.step_pipeline import PIPELINE_RUN, PipelineRunSpec, PipelineStep
from lykeion.platform.resources.programs.program import Program
from lykeion.platform.resources.settings.cluster_profile import AllowedCluster, ClusterProfileSpec

from .two_clusters import SERVER, TwoClusters, kubeconfig, store_of, with_both

STEPS = 250
LOCAL = 30
WORKERS = 16
PROGRAM = Program(command=("true",))
STEP = PipelineStep(name="train", program=PROGRAM)


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


def _allowing(count: int) -> ClusterProfileSpec:
    """The namespaces n-0 and so on may use gke, and shop."""
    names = (*(f"n-{number}" for number in range(count)), "shop")
    return ClusterProfileSpec(clusters=(AllowedCluster(name="gke", server=SERVER, namespaces=names),))


async def _left_behind(both: TwoClusters, count: int) -> None:
    """Runs in the other cluster whose runs here are gone."""
    remote = both.remote()
    for number in range(count):
        wanted = PIPELINE_RUN.new(f"left-{number}", PipelineRunSpec(steps=(STEP,)), namespace="shop")
        await remote.answers()[RemoteRun](RemoteRun("gke", "shop", wanted.metadata.name, "gone", "u1", wanted))


def test_a_sweep_asks_few_at_once_and_gives_up_each_that_is_silent() -> None:
    async def use(both: TwoClusters) -> None:
        for number in range(20):
            both.give(kubeconfig(), f"n-{number}")
        both.there.silent = True
        assert await both.remote().sweep() == 0
        assert both.there.most_waiting == SWEPT_AT_ONCE
        assert both.there.waiting == 0

    with_both(use, answer_s=0.02, profile=_allowing(20))


def test_silent_credentials_of_one_namespace_keep_no_sweep_from_another() -> None:
    async def use(both: TwoClusters) -> None:
        for number in range(3):
            both.give(kubeconfig(token="lost"), f"n-{number}")
        await _left_behind(both, 3)
        assert await both.remote().sweep() == 3
        assert both.there.kept("pipelineruns") == []

    with_both(use, answer_s=0.05, profile=_allowing(3), lost_token="lost")


def test_what_a_sweep_has_no_time_for_is_left_to_the_next() -> None:
    async def use(both: TwoClusters) -> None:
        await _left_behind(both, 5)
        hurried = replace(both.remote(), pair_s=0.05)
        await hurried.reach.use("gke", "shop", lambda client: client.get("/", "it", {"limit": "1"}))
        both.here.silent = True
        assert await hurried.sweep() == 0
        assert len(both.there.kept("pipelineruns")) == 5
        both.here.speak()
        assert await both.remote().sweep() == 5

    with_both(use)


def test_what_is_wrong_here_counts_as_no_failure_of_the_other_cluster() -> None:
    async def use(both: TwoClusters) -> None:
        await _left_behind(both, 1)
        remote = both.remote()
        await remote.reach.use("gke", "shop", lambda client: client.get("/", "it", {"limit": "1"}))
        both.here.error = ClusterError("https://here does not answer")
        assert await remote.sweep() == 0
        assert await remote.reach.use("gke", "shop", lambda client: client.get("/", "it", {"limit": "1"}))

    with_both(use)
