"""Steps of a run in another cluster: when their runs are asked for, what becomes of them, and how a run is let go."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec import structs

from lykeion.control import (
    FINALIZER,
    AnyResource,
    Condition,
    Decision,
    Lookup,
    NotAsked,
    condition_of,
    is_true,
    merged,
)
from lykeion.core import Invalid, Refused, Unavailable, Unsupported
from lykeion.platform.controllers.pipeline_run_controller import PIPELINE_RUNS
from lykeion.platform.lookups import ClusterAllowed, NoRemoteRun, RemoteRun
from lykeion.platform.resources.pipelines.step_pipeline import (
    PIPELINE_RUN,
    PipelineRunSpec,
    PipelineRunStatus,
    PipelineStep,
    StepStatus,
)
from lykeion.platform.resources.programs.program import Program
from lykeion.platform.resources.runs.artifacts import FetchedInput, KeptOutput

from .acting import NOON, Acting

AWAY = Unavailable("the cluster gke: https://10.0.0.1 does not answer")


@dataclass
class OtherCluster:
    """What is there, by name; ``error`` answers whatever is asked while it is set."""

    runs: dict[str, AnyResource] = field(default_factory=dict[str, AnyResource])
    error: Exception | None = None
    allowed: Any = True
    asked: list[Lookup] = field(default_factory=list[Lookup])

    def get(self, lookup: Any, default: Any = None) -> Any:
        self.asked.append(lookup)
        match lookup:
            case ClusterAllowed():
                return self.allowed
            case RemoteRun(name=name, wanted=wanted):
                return self.error or self.runs.setdefault(name, wanted)
            case NoRemoteRun(name=name):
                if self.error:
                    return self.error
                self.runs.pop(name, None)
                return True
            case _:
                return default

    def end(self, condition: str = "Complete", **step: Any) -> None:
        (name, run), *_ = self.runs.items()
        status = StepStatus(name="train", **step)
        conditions = merged((), NOON, Condition(type=condition, status="True", reason="R", message="m"))
        self.runs[name] = run.with_status(PipelineRunStatus(start_time=NOON, steps=(status,), conditions=conditions))


@dataclass
class Course:
    """A run whose decisions are written, finalizer included."""

    acting: Acting
    other: OtherCluster
    finalizers: list[bool | None] = field(default_factory=list[bool | None])

    def decide(self, now: datetime = NOON) -> Decision:
        decision = self.acting.decide(now)
        self.finalizers.append(decision.finalizer)
        if decision.finalizer is not None:
            held = (FINALIZER,) if decision.finalizer else ()
            run = self.acting.resource
            self.acting.resource = replace(run, metadata=structs.replace(run.metadata, finalizers=held))
        return decision

    def delete(self) -> None:
        run = self.acting.resource
        ending = structs.replace(run.metadata, deletion_timestamp=datetime(2026, 11, 1, tzinfo=UTC))
        self.acting.resource = replace(run, metadata=ending)
        assert PIPELINE_RUNS.release
        self.acting.reconcile = PIPELINE_RUNS.release

    @property
    def phases(self) -> dict[str, str]:
        return {each.name: each.phase for each in self.acting.resource.status.steps}

    def says(self, type_: str) -> Condition | None:
        return condition_of(self.acting.resource.status.conditions, type_)


def _step(name: str, *arguments: str, **more: Any) -> PipelineStep:
    return PipelineStep(name=name, program=Program(command=(name, *arguments)), **more)


def _course(*steps: PipelineStep, **spec: Any) -> Course:
    every = steps or (_step("train", cluster="gke"),)
    run = PIPELINE_RUN.new("night-1", PipelineRunSpec(steps=every, pipeline="nightly", **spec), namespace="shop")
    run = replace(run, metadata=structs.replace(run.metadata, uid="u1"))
    other = OtherCluster()
    return Course(Acting(PIPELINE_RUNS.reconcile, run, other), other)  # type: ignore[arg-type]


def test_a_run_is_asked_for_only_when_the_finalizer_and_its_name_were_written() -> None:
    course = _course()
    assert course.decide().finalizer is True
    assert course.other.runs == {}
    step = course.acting.resource.status.steps[0]
    assert (step.phase, step.cluster) == ("Running", "gke")
    course.decide()
    assert list(course.other.runs) == [step.remote_run]


def test_without_the_finalizer_nothing_is_asked_for_and_it_is_written_again() -> None:
    course = _course()
    course.decide()
    run = course.acting.resource
    course.acting.resource = replace(run, metadata=structs.replace(run.metadata, finalizers=()))
    assert course.decide().finalizer is True
    assert course.other.runs == {}


def test_the_other_cluster_gets_a_run_of_the_one_step_with_its_values() -> None:
    course = _course(
        _step("list"),
        _step(
            "train", "$(steps.list.results.day)", "$(HOME)", cluster="gke", retries=2, when="parameters.on = 'yes'"
        ),
        parameters={"on": "yes"},
    )
    course.decide()
    course.acting.fares(course.acting.works("list")[0], "Complete", result='{"day": "monday"}')
    for _ in range(3):
        course.decide()
    (run,) = course.other.runs.values()
    assert run.spec.pipeline == "nightly"
    (step,) = run.spec.steps
    assert step.program.command == ("train", "monday", "$(HOME)")
    assert (step.name, step.retries, step.cluster, step.needs, step.when) == ("train", 2, None, (), None)


def _training(**more: Any) -> PipelineStep:
    return _step("train", cluster="gke", outputs=(KeptOutput(name="net"),), **more)


def test_what_has_ended_there_has_ended_here_with_its_results_and_outputs() -> None:
    course = _course(_training(), _step("tell", "$(steps.train.outputs.net)", "$(steps.train.results.top1)"))
    course.decide()
    course.decide()
    net = "registry.example.com/shop/net@sha256:0"
    course.other.end(phase="Succeeded", outputs={"net": net}, results='{"top1": 0.9}')
    course.decide()
    assert course.phases == {"train": "Succeeded", "tell": "Running"}
    (told,) = course.acting.works("tell")
    assert told.spec.program.command == ("tell", net, "0.9")


def test_a_step_that_fails_there_fails_here_with_the_same_words() -> None:
    course = _course(_training())
    course.decide()
    course.decide()
    course.other.end("Failed", phase="Failed", message="ProgramFailed: attempt 1: exit code 7")
    course.decide()
    failed = course.says("Failed")
    assert failed
    assert "train: ProgramFailed: attempt 1: exit code 7" in failed.message


def test_a_cluster_that_does_not_answer_is_named_in_a_condition_and_asked_again() -> None:
    course = _course()
    course.decide()
    course.other.error = AWAY
    decision = course.decide()
    said = course.says("Unreachable")
    assert said
    assert (said.status, said.reason, said.message) == ("True", "NoAnswer", str(AWAY))
    assert decision.requeue_after_s is not None
    assert decision.requeue_after_s <= 5
    assert course.acting.resource.status.steps[0].message == str(AWAY)
    course.other.error = Refused("the cluster gke: 401")
    course.decide()
    said = course.says("Unreachable")
    assert said
    assert said.reason == "Refused"
    course.other.error = None
    course.decide()
    said = course.says("Unreachable")
    assert said
    assert said.status == "False"
    course.other.end(phase="Succeeded")
    course.decide()
    assert course.says("Complete")


def test_of_a_cluster_that_is_busy_nothing_is_said_that_was_not_said_before() -> None:
    course = _course()
    course.decide()
    course.other.error = NotAsked("the cluster gke, for shop: 8 others have waited 15 s for it")
    decision = course.decide()
    assert course.says("Unreachable") is None
    assert course.acting.resource.status.steps[0].message == ""
    assert decision.requeue_after_s == 5
    course.other.error = AWAY
    course.decide()
    course.other.error = NotAsked("the cluster gke, for shop: 8 others have waited 15 s for it")
    course.decide()
    said = course.says("Unreachable")
    assert said
    assert (said.status, course.acting.resource.status.steps[0].message) == ("True", str(AWAY))
    course.delete()
    course.decide()
    assert course.finalizers[-1] is None


def test_a_run_without_steps_elsewhere_has_neither_finalizer_nor_condition() -> None:
    course = _course(_step("here"))
    course.decide()
    assert course.finalizers == [None]
    assert course.says("Unreachable") is None


@pytest.mark.parametrize("error", [Invalid("the ClusterProfile does not let shop use it"), Unsupported("not here")])
def test_a_cluster_that_is_not_allowed_fails_the_step_and_nothing_is_asked_of_it(error: Exception) -> None:
    course = _course()
    course.other.allowed = error
    course.decide()
    failed = course.says("Failed")
    assert failed
    assert str(error) in failed.message
    assert not [each for each in course.other.asked if isinstance(each, RemoteRun)]
    assert course.says("Unreachable") is None


def test_what_the_other_cluster_refuses_as_invalid_fails_the_step() -> None:
    course = _course()
    course.decide()
    course.other.error = Invalid("spec.steps[0].forEach: unknown field")
    course.decide()
    failed = course.says("Failed")
    assert failed
    assert "unknown field" in failed.message


def test_a_value_that_looks_like_a_reference_is_not_handed_on_to_be_replaced_there() -> None:
    reading = FetchedInput(name="photos", artifact="$(parameters.photos)")
    course = _course(
        _step("train", cluster="gke", inputs=(reading,)), parameters={"photos": "shop/$(run.namespace):v1"}
    )
    course.decide()
    failed = course.says("Failed")
    assert failed
    assert "$(run.namespace)" in failed.message
    assert course.other.asked == []


def test_a_deadline_ends_a_run_though_the_cluster_does_not_answer() -> None:
    course = _course(deadline_seconds=60)
    course.decide()
    course.decide()
    course.other.error = AWAY
    course.decide(NOON + timedelta(seconds=61))
    assert course.phases == {"train": "Cancelled"}
    failed = course.says("Failed")
    assert failed
    assert failed.reason == "DeadlineExceeded"


def test_a_failure_removes_what_runs_elsewhere() -> None:
    course = _course(_step("here"), _step("train", cluster="gke"))
    course.decide()
    course.decide()
    assert course.other.runs
    course.acting.fares(course.acting.works("here")[0], "Failed")
    course.decide()
    assert course.phases == {"here": "Failed", "train": "Cancelled"}
    assert course.other.runs == {}


def test_a_deleted_run_ends_what_runs_here_and_goes_when_nothing_is_left_elsewhere() -> None:
    course = _course(_step("here"), _step("train", cluster="gke"))
    course.decide()
    course.decide()
    course.delete()
    course.other.error = AWAY
    decision = course.decide()
    assert (decision.children, decision.finalizer) == ((), None)
    assert decision.requeue_after_s
    assert is_true(course.acting.resource.status.conditions, "Unreachable")
    course.other.error = None
    assert course.decide().finalizer is False
    assert course.other.runs == {}


def test_a_deleted_run_waits_for_no_cluster_in_which_it_had_begun_nothing() -> None:
    course = _course(_step("here"), _step("train", cluster="gke", needs=("here",)))
    course.decide()
    course.delete()
    course.other.error = AWAY
    assert course.decide().finalizer is False
    assert course.other.asked == []


def test_a_rerun_takes_a_step_from_elsewhere_and_owes_that_cluster_nothing() -> None:
    course = _course()
    course.decide()
    course.decide()
    course.other.end(phase="Succeeded")
    course.decide()
    first = course.acting.resource
    again = _course(rerun_of="night-1")
    again.acting.answers = {first.key: first}
    again.decide()
    (step,) = again.acting.resource.status.steps
    assert (step.phase, step.cluster, step.remote_run) == ("Reused", "", "")
    assert again.finalizers == [None]
