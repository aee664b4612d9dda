"""What waits for a registry that does not answer fails at its deadline, and says for what it has waited."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from lykeion.control import Condition, Key, condition_of
from lykeion.core import LykeionError, Refused, Unavailable
from lykeion.platform.controllers.batch_controller import BATCH_EXECUTIONS
from lykeion.platform.controllers.pipeline_run_controller import PIPELINE_RUNS
from lykeion.platform.controllers.training_controller import TRAININGS
from lykeion.platform.lookups import FoundModel
from lykeion.platform.policies.lifecycle.completion import has_finished
from lykeion.platform.resources.pipelines.step_pipeline import PIPELINE_RUN, ExitStep, PipelineRunSpec, PipelineStep
from lykeion.platform.resources.programs.program import Program
from lykeion.platform.resources.runs.artifacts import FetchedInput, KeptOutput
from lykeion.platform.resources.runs.batch_execution import BATCH_EXECUTION, BatchExecutionSpec, Shards
from lykeion.platform.resources.runs.training import TRAINING, PublishedModel, TrainingSpec

from .acting import NOON, Acting

DOWN = Unavailable("registry.example.com: connection refused")
FIT = Program(command=("fit",))
IN_IMAGE = Program(image="registry.example.com/tools:v1")
PHOTOS = (FetchedInput(name="photos", artifact="registry.example.com/photos:latest"),)
INDEX = (KeptOutput(name="index"),)
SHARDS = Shards(count=2)


class Registry(dict[Any, Any]):
    """Answers no lookup."""

    def __init__(self, error: LykeionError = DOWN) -> None:
        self.error = error

    def get(self, key: Any, default: Any = None) -> Any:
        return self.error


def _training(**spec: Any) -> Acting:
    return _acting(TRAININGS, TRAINING, TrainingSpec(**{"program": FIT, **spec}))


def _batch(**spec: Any) -> Acting:
    return _acting(
        BATCH_EXECUTIONS, BATCH_EXECUTION, BatchExecutionSpec(**{"program": FIT, "shards": SHARDS, **spec})
    )


def _run(*steps: PipelineStep, **spec: Any) -> Acting:
    return _acting(PIPELINE_RUNS, PIPELINE_RUN, PipelineRunSpec(steps=steps, pipeline="nightly", **spec))


def _acting(controller: Any, kind: Any, spec: Any) -> Acting:
    resource = kind.new("one", spec)
    resource = replace(resource, metadata=structs.replace(resource.metadata, uid="u1"))
    return Acting(controller.reconcile, resource, Registry())


BEFORE_THE_START: dict[str, Callable[..., Acting]] = {
    "inputs of a training": lambda **limit: _training(inputs=PHOTOS, **limit),
    "image of a training": lambda **limit: _training(program=IN_IMAGE, **limit),
    "inputs of a batch": lambda **limit: _batch(inputs=PHOTOS, **limit),
    "image of a batch": lambda **limit: _batch(program=IN_IMAGE, **limit),
}


def _published(**limit: Any) -> Acting:
    """A training whose version is to be read."""
    acting = _training(publish=PublishedModel(model="shoes"), **limit)
    return _succeeded(acting, "fit", "push")


def _kept(**limit: Any) -> Acting:
    """A batch whose outputs are to be read."""
    return _succeeded(_batch(outputs=INDEX, **limit), "fit", "push", succeeded="0-1")


def _succeeded(acting: Acting, *words: str, **status: Any) -> Acting:
    for word in words:
        acting.decide()
        for work in acting.works(word):
            acting.fares(work, "Complete", attempts=1, **status)
    return acting


AT_ANY_TIME: dict[str, Callable[..., Acting]] = {
    **BEFORE_THE_START,
    "model of a training": _published,
    "outputs of a training": lambda **limit: _succeeded(_training(outputs=INDEX, **limit), "fit", "push"),
    "outputs of a batch": _kept,
    "inputs of a step": lambda **limit: _run(PipelineStep(name="a", program=FIT, inputs=PHOTOS), **limit),
    "image of a step": lambda **limit: _run(PipelineStep(name="a", program=IN_IMAGE), **limit),
    "outputs of a step": lambda **limit: _succeeded(
        _run(PipelineStep(name="a", program=FIT, outputs=INDEX), **limit), "fit", "push"
    ),
}
LIMITS = [
    *((what, "start_deadline_seconds", "NotStarted") for what in BEFORE_THE_START),
    *((what, "deadline_seconds", "DeadlineExceeded") for what in AT_ANY_TIME),
]


@pytest.mark.parametrize(("what", "limit", "reason"), LIMITS)
@given(limit_s=st.integers(1, 1000), pauses_s=st.lists(st.integers(0, 300), max_size=20))
def test_it_is_waited_for_until_the_deadline_and_no_longer(
    what: str, limit: str, reason: str, limit_s: int, pauses_s: list[int]
) -> None:
    acting, passed_s = AT_ANY_TIME[what](**{limit: limit_s}), 0
    for pause_s in [0, *pauses_s, 1000]:
        passed_s += pause_s
        decision = acting.decide(NOON + timedelta(seconds=passed_s))
        if passed_s >= limit_s:
            break
        assert not has_finished(acting.resource.status.conditions)
        assert decision.requeue_after_s is not None
        assert 0 < decision.requeue_after_s <= limit_s - passed_s
    failed = condition_of(acting.resource.status.conditions, "Failed")
    assert failed is not None
    assert (failed.status, failed.reason) == ("True", reason)
    assert str(DOWN) in failed.message


@pytest.mark.parametrize("what", AT_ANY_TIME)
def test_without_a_deadline_it_is_waited_for_and_an_answer_lets_it_go_on(what: str) -> None:
    acting = AT_ANY_TIME[what]()
    assert acting.decide().requeue_after_s
    assert acting.decide(NOON + timedelta(days=300)).requeue_after_s
    assert not has_finished(acting.resource.status.conditions)
    answer: Any = "sha256:aa" if "image" in what else FoundModel("found@sha256:aa", "sha256:aa")
    acting.answers = Registry(answer)
    acting.decide()
    acting.decide()
    assert has_finished(acting.resource.status.conditions) or acting.works()


def test_an_exit_step_waits_for_nothing_once_the_deadline_has_passed() -> None:
    report = ExitStep(name="report", program=IN_IMAGE)
    acting = _run(PipelineStep(name="a", program=FIT), exit_steps=(report,), deadline_seconds=60)
    acting.decide()
    acting.decide(NOON + timedelta(seconds=60))
    failed = condition_of(acting.resource.status.conditions, "Failed")
    assert failed is not None
    assert (failed.reason, failed.message) == ("StepFailed", f"report: {DOWN}")


def test_a_run_at_its_deadline_says_for_what_its_training_has_waited() -> None:
    acting = _run(PipelineStep(name="train", training=TrainingSpec(program=FIT)), deadline_seconds=60)
    acting.decide()
    (training,) = acting.children.values()
    waits = Condition(type="Running", status="False", reason="RegistryUnavailable", message=str(DOWN))
    acting.children[training.metadata.name] = training.with_status(
        structs.replace(training.status, conditions=(waits,))
    )
    acting.decide()
    acting.decide(NOON + timedelta(seconds=60))
    failed = condition_of(acting.resource.status.conditions, "Failed")
    assert failed is not None
    assert (failed.reason, failed.message) == ("DeadlineExceeded", f"0/1 in 60 s; train: {DOWN}")


def test_outputs_that_were_not_kept_in_time_are_made_again_by_a_retry() -> None:
    acting = _kept(deadline_seconds=60)
    acting.decide(NOON + timedelta(seconds=60))
    earlier = acting.resource
    assert (earlier.status.succeeded, earlier.status.outputs) == ("0-1", {})
    again = _batch(outputs=INDEX, retry_of="first")
    again.answers = {Key("BatchExecution", "default", "first"): earlier}
    again.decide()
    (work,) = again.works("fit")
    assert work.spec.done == "", "their outputs are nowhere"


@pytest.mark.parametrize("what", BEFORE_THE_START)
def test_what_is_refused_may_be_allowed_later(what: str) -> None:
    acting = AT_ANY_TIME[what]()
    acting.answers = Registry(Refused("registry.example.com: log in"))
    assert acting.decide().requeue_after_s
    assert not has_finished(acting.resource.status.conditions)
