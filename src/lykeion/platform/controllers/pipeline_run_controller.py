"""PipelineRun: each step begins when those that it depends on have ended well; a failure cancels the others."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Literal

from msgspec import structs

from lykeion.control import Decision, Key, Observed, ResourceController
from lykeion.platform.policies.lifecycle import (
    after_end,
    finish,
    has_finished,
    left_s,
    progress_events,
    started,
    with_conditions,
    with_progress,
)
from lykeion.platform.policies.steps import (
    ENDED,
    PipelineRound,
    advance_step,
    release_pipeline_run,
    reused_steps,
    wrong_earlier,
)
from lykeion.platform.resources.pipelines import (
    PIPELINE_RUN,
    PipelineRun,
    PipelineRunStatus,
    PipelineStep,
    StepStatus,
    in_order,
)
from lykeion.platform.resources.plain_kinds import WORK
from lykeion.platform.resources.programs import VOLUME
from lykeion.platform.resources.runs import BATCH_EXECUTION, TRAINING


def reconcile_pipeline_run(run: PipelineRun, observed: Observed, now: datetime) -> Decision:
    if has_finished(run.status.conditions):
        return after_end(run, now)
    status = started(run.status, now)
    if run.status.start_time is None and (rerun_of := run.spec.rerun_of):
        earlier = _earlier(run, rerun_of, status, observed, now)
        if isinstance(earlier, Decision):
            return earlier
        status = structs.replace(status, steps=earlier)
    round_ = _round(run, status, observed, now)
    spec, exits = run.spec, run.spec.after_steps()
    _advance_all(round_, spec.steps, cancel=round_.late)
    outcome = _outcome(round_, spec.steps)
    if outcome:
        _advance_all(round_, exits, outcome=outcome)
    if reads := (*round_.reads, *round_.remote.reads):
        return Decision(run.status, reads=reads)
    status = with_conditions(run, _with_steps(round_, status), now, *round_.remote.condition(run.status.conditions))
    if outcome and all(round_.steps[step.name].phase in ENDED for step in exits):
        return _finished(round_, status, outcome)
    active = any(each.phase == "Running" for each in status.steps)
    status = with_progress(run, status, active, now)
    times = [round_.again_s]
    if spec.deadline_seconds is not None and not round_.late:
        times.append(left_s(status.start_time or now, spec.deadline_seconds, now))
    return Decision(
        status,
        tuple(round_.children.values()),
        (*progress_events(run, status), *round_.events),
        requeue_after_s=min((each for each in times if each is not None), default=None),
        finalizer=True if any(each.cluster for each in status.steps) else None,
    )


PIPELINE_RUNS = ResourceController(
    PIPELINE_RUN, (WORK, VOLUME, TRAINING, BATCH_EXECUTION), reconcile_pipeline_run, release_pipeline_run
)


def _earlier(
    run: PipelineRun, name: str, status: PipelineRunStatus, observed: Observed, now: datetime
) -> tuple[StepStatus, ...] | Decision:
    """The steps that an earlier run has done; a decision where that is to be read first, or cannot be used."""
    earlier = Key(PIPELINE_RUN.name, run.metadata.namespace, name)
    if earlier not in observed.read:
        return Decision(run.status, reads=(earlier,))
    found: PipelineRun | None = observed.read[earlier]
    if wrong := wrong_earlier(run, found):
        return finish(run, status, (), now, "Failed", "RerunOf", wrong)
    assert found
    return reused_steps(run, found)


def _round(run: PipelineRun, status: PipelineRunStatus, observed: Observed, now: datetime) -> PipelineRound:
    spec, known = run.spec, {each.name: each for each in status.steps}
    steps = {
        step.name: known.get(step.name) or StepStatus(name=step.name) for step in (*spec.steps, *spec.after_steps())
    }
    late = spec.deadline_seconds is not None and not left_s(status.start_time or now, spec.deadline_seconds, now)
    return PipelineRound(run, observed, now, steps, {each.metadata.name: each for each in observed.children}, late)


def _advance_all(
    round_: PipelineRound, steps: Sequence[PipelineStep], *, outcome: str = "", cancel: bool = False
) -> None:
    by_name = {step.name: step for step in steps}
    for name in in_order(steps):
        if name in by_name and round_.steps[name].phase not in ENDED:
            failed = cancel or any(round_.steps[each].phase == "Failed" for each in by_name)
            round_.steps[name] = round_.cancelled(name) if failed else advance_step(round_, by_name[name], outcome)
    if any(round_.steps[name].phase == "Failed" for name in by_name):  # also those that were advanced before it
        for name in by_name:
            if round_.steps[name].phase not in ENDED:
                round_.steps[name] = round_.cancelled(name)


def _outcome(round_: PipelineRound, steps: Sequence[PipelineStep]) -> Literal["", "Complete", "Failed"]:
    """How the steps have ended, or an empty string if they have not."""
    phases = {round_.steps[step.name].phase for step in steps}
    if not phases <= ENDED:
        return ""
    return "Failed" if phases & {"Failed", "Cancelled"} else "Complete"


def _with_steps(round_: PipelineRound, status: PipelineRunStatus) -> PipelineRunStatus:
    steps = tuple(round_.steps.values())
    done = sum(each.phase in ENDED and each.phase not in ("Failed", "Cancelled") for each in steps)
    return structs.replace(status, steps=steps, progress=f"{done}/{len(steps)}")


def _finished(round_: PipelineRound, status: PipelineRunStatus, outcome: Literal["Complete", "Failed"]) -> Decision:
    failed = [each for each in status.steps if each.phase == "Failed"]
    if failed:
        reason, message = "StepFailed", "; ".join(f"{each.name}: {each.message}" for each in failed)
        outcome = "Failed"
    elif round_.late:
        waited = (
            f"; {each.name}: {each.message}" for each in status.steps if each.phase == "Cancelled" and each.message
        )
        progress = f"{status.progress} in {round_.run.spec.deadline_seconds} s"
        reason, message = "DeadlineExceeded", progress + "".join(waited)
    else:
        reason, message = "StepsSucceeded", status.progress
    decision = finish(round_.run, status, round_.children.values(), round_.now, outcome, reason, message)
    return replace(decision, events=(*round_.events, *decision.events))
