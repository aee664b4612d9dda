"""A Pipeline creates its scheduled runs, one each minute at most, and keeps the latest."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from lykeion.control import Condition, ResourceError, SqliteStore, condition_of, read_as
from lykeion.core.fields import Field
from lykeion.platform import KINDS
from lykeion.platform.controllers.pipeline_controller import reconcile_pipeline, run_of
from lykeion.platform.reruns import run_pipeline
from lykeion.platform.resources.pipelines.step_pipeline import PIPELINE, Parameter, PipelineSpec, PipelineStep
from lykeion.platform.resources.programs.program import Program
from lykeion.platform.resources.runs.artifacts import KeptOutput
from lykeion.platform.resources.runs.batch_execution import BatchExecutionSpec, Shards
from lykeion.platform.resources.runs.schedule import Schedule
from lykeion.platform.resources.runs.training import TrainingSpec

from .acting import NOON, Acting

STEPS = (PipelineStep(name="embed", program=Program(command=("embed", "$(parameters.day)"))),)


def _pipeline(**spec: Any) -> Any:
    parameters = (Parameter(name="day", default="today"),)
    spec.setdefault("parameters", parameters)
    pipeline = PIPELINE.new("nightly", PipelineSpec(steps=STEPS, **spec))
    return replace(pipeline, metadata=structs.replace(pipeline.metadata, uid="u1", creation_timestamp=NOON))


def _hourly(**schedule: Any) -> Acting:
    return Acting(reconcile_pipeline, _pipeline(schedule=Schedule(cron="0 * * * *", **schedule)))


def _end(acting: Acting, name: str, type_: str, at: Any) -> None:
    run = acting.children[name]
    conditions = (Condition(type=type_, status="True"),)
    acting.children[name] = run.with_status(structs.replace(run.status, conditions=conditions, completion_time=at))


def test_a_run_is_created_once_at_its_minute_and_named_by_it() -> None:
    acting = _hourly()
    assert acting.decide(NOON + timedelta(minutes=59)).requeue_after_s == 60
    assert acting.children == {}
    for seconds in (0, 1, 50):
        acting.decide(NOON + timedelta(hours=1, seconds=seconds))
    (run,) = acting.children.values()
    assert run.metadata.name == f"nightly-{int((NOON + timedelta(hours=1)).timestamp() // 60)}"
    assert run.spec.parameters == {"day": "today"}
    assert run.owner.name == "nightly"
    assert acting.resource.status.runs == (run.metadata.name,)
    assert [event.reason for event in acting.events] == ["RunCreated"]


def test_a_run_whose_write_to_the_status_was_lost_is_not_created_again() -> None:
    acting = _hourly()
    before = acting.resource
    acting.decide(NOON + timedelta(hours=1))
    acting.resource = before
    acting.decide(NOON + timedelta(hours=1, seconds=5))
    assert len(acting.children) == 1


@pytest.mark.parametrize(("policy", "runs"), [("Forbid", 1), ("Allow", 2), ("Replace", 1)])
def test_a_run_that_still_goes_on_is_waited_for_joined_or_replaced(policy: Any, runs: int) -> None:
    acting = _hourly(concurrency_policy=policy)
    acting.decide(NOON + timedelta(hours=1))
    first = set(acting.children)
    acting.decide(NOON + timedelta(hours=2))
    assert len(acting.children) == runs
    assert (first <= set(acting.children)) == (policy != "Replace")
    if policy == "Forbid":
        _end(acting, *first, "Complete", NOON + timedelta(hours=2, minutes=5))
        acting.decide(NOON + timedelta(hours=2, minutes=5))
        assert len(acting.children) == 2


def test_the_oldest_finished_runs_are_deleted() -> None:
    acting = _hourly(succeeded_history=2, failed_history=1)
    for hour in range(1, 8):
        at = NOON + timedelta(hours=hour)
        acting.decide(at)
        (name,) = acting.resource.status.runs
        _end(acting, name, "Failed" if hour in (2, 5) else "Complete", at + timedelta(minutes=5))
    acting.decide(NOON + timedelta(hours=7, minutes=6))
    hours = sorted((int(name.rpartition("-")[2]) * 60 - NOON.timestamp()) // 3600 for name in acting.children)
    assert hours == [5, 6, 7]


def test_a_suspended_pipeline_creates_no_runs() -> None:
    acting = Acting(reconcile_pipeline, _pipeline(schedule=Schedule(cron="0 * * * *"), suspend=True))
    assert acting.decide(NOON + timedelta(hours=5)).requeue_after_s is None
    assert acting.children == {}
    assert acting.resource.status.next_schedule_time is None


def test_a_schedule_that_cannot_be_is_said_and_nothing_runs() -> None:
    acting = Acting(reconcile_pipeline, _pipeline(schedule=Schedule(cron="0 0 * * *", time_zone="Mars/Olympus")))
    acting.decide(NOON)
    ready = condition_of(acting.resource.status.conditions, "Ready")
    assert ready is not None
    assert (ready.status, ready.reason) == ("False", "InvalidSchedule")


def test_a_run_is_given_values_that_are_declared_and_all_of_them() -> None:
    assert run_of(_pipeline(), "x", {"day": "mon"}).spec.parameters == {"day": "mon"}
    with pytest.raises(ResourceError, match="has no parameter 'dya'; there is day"):
        run_of(_pipeline(), "x", {"dya": "mon"})
    with pytest.raises(ResourceError, match="give a value for day"):
        run_of(_pipeline(parameters=(Parameter(name="day"),)), "x")


def test_two_parameters_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="two of parameters have one name"):
        _pipeline(parameters=(Parameter(name="day"), Parameter(name="day", default="today")))


@pytest.mark.parametrize("name", ["UPPER:x", "shop@sha256:1", "shop:a:b", "$(parameters.name)@$(parameters.day)", ""])
def test_a_name_under_which_nothing_can_be_published_is_refused(name: str) -> None:
    with pytest.raises(ResourceError, match="publish"):
        read_as(KeptOutput, Field("output", {"name": "index", "publish": name}, ResourceError))
    for good in ("shop", "shop:v", "localhost:5000/a/b:c", "$(parameters.host):5000/x:$(parameters.day)"):
        assert KeptOutput(name="index", publish=good) == read_as(
            KeptOutput, Field("output", {"name": "index", "publish": good})
        )


def test_a_schedule_without_defaults_is_refused() -> None:
    with pytest.raises(ValueError, match="a schedule needs a default of each parameter"):
        _pipeline(parameters=(Parameter(name="day"),), schedule=Schedule(cron="0 * * * *"))


def test_runs_that_are_created_at_the_same_time_have_names_of_their_own(tmp_path: Path) -> None:
    async def created() -> list[str]:
        store = SqliteStore(tmp_path / "state.db", KINDS)
        try:
            pipeline = await store.create(PIPELINE.new("nightly", _pipeline().spec))
            runs = await asyncio.gather(*(run_pipeline(store, pipeline.key, {}) for _ in range(3)))
            with pytest.raises(ResourceError, match="pipeline/nightly has no finished run"):
                await run_pipeline(store, pipeline.key, {}, first="nope")
            return [run.metadata.name for run in runs]
        finally:
            await store.close()

    assert sorted(asyncio.run(created())) == ["nightly-run-1", "nightly-run-2", "nightly-run-3"]


def test_the_outputs_of_all_kinds_of_steps_are_limited_together() -> None:
    outputs = tuple(KeptOutput(name=f"o{number}") for number in range(32))
    fit = Program(command=("fit",))
    batch = BatchExecutionSpec(program=fit, shards=Shards(count=1), outputs=outputs)
    steps = (
        PipelineStep(name="a", program=fit, outputs=outputs),
        PipelineStep(name="b", batch=batch),
        PipelineStep(name="c", training=TrainingSpec(program=fit, outputs=outputs)),
    )
    assert PipelineSpec(steps=steps)
    further = PipelineStep(name="d", program=fit, outputs=outputs[:1])
    with pytest.raises(ValueError, match="the steps have more than 96 inputs and outputs in all"):
        PipelineSpec(steps=(*steps, further))
