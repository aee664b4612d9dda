"""PipelineRun: each step begins when those that it depends on have ended well; a failure cancels the others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

import msgspec
from msgspec import structs

from lykeion.control import FINALIZER, AnyResource, Decision, Event, Key, Lookup, Observed, ResourceController
from lykeion.core import LykeionError, NotFound, Unavailable
from lykeion.core.grammar import parse
from lykeion.core.matching import matches
from lykeion.platform.policies.artifact_work import ASK_AGAIN_S, Answers, ArtifactWork, look_up
from lykeion.platform.policies.completion import (
    after_end,
    end_of,
    finish,
    has_finished,
    left_s,
    progress_events,
    started,
    waits_for,
    with_conditions,
    with_progress,
)
from lykeion.platform.policies.pinned_images import is_pinned, look_up_image
from lykeion.platform.policies.remote_step import (
    LOOK_AGAIN_S,
    RemoteSteps,
    ended_as,
    progress_of,
    release_pipeline_run,
)
from lykeion.platform.policies.rerun import reused_steps, wrong_earlier
from lykeion.platform.policies.stages import advance
from lykeion.platform.policies.step_values import (
    as_text,
    items_of,
    parsed_results,
    values_of,
)
from lykeion.platform.policies.step_work import STEP_LABEL, cache_alias, program_of, resource_of
from lykeion.platform.resources.batch_execution import BATCH_EXECUTION
from lykeion.platform.resources.program_volume import VOLUME
from lykeion.platform.resources.step_graph import dependencies, in_order
from lykeion.platform.resources.step_pipeline import (
    PIPELINE_RUN,
    PipelineRun,
    PipelineRunStatus,
    PipelineStep,
    StepStatus,
)
from lykeion.platform.resources.step_references import resolved
from lykeion.platform.resources.training import TRAINING
from lykeion.platform.resources.work import WORK

MAX_RESULTS = 16_384
"""Of all steps together: a status is small."""
ENDED = frozenset({"Succeeded", "Failed", "Skipped", "Cached", "Reused", "Cancelled"})


@dataclass
class _Round:
    """One decision in the making: the status of each step, the children, and what is to be read first."""

    run: PipelineRun
    observed: Observed
    now: datetime
    steps: dict[str, StepStatus]
    children: dict[str, AnyResource]
    late: bool
    """Whether the deadline has passed: nothing is waited for any more."""
    reads: list[Key | Lookup] = field(default_factory=list[Key | Lookup])
    events: list[Event] = field(default_factory=list[Event])
    again_s: float | None = None

    def __post_init__(self) -> None:
        self.remote = RemoteSteps(self.run, self.observed)


def reconcile_pipeline_run(run: PipelineRun, observed: Observed, now: datetime) -> Decision:
    if has_finished(run.status.conditions):
        return after_end(run, now)
    spec, status = run.spec, started(run.status, now)
    if run.status.start_time is None and spec.rerun_of:
        earlier = Key(PIPELINE_RUN.name, run.metadata.namespace, spec.rerun_of)
        if earlier not in observed.read:
            return Decision(run.status, reads=(earlier,))
        found: PipelineRun | None = observed.read[earlier]
        if wrong := wrong_earlier(run, found):
            return finish(run, status, (), now, "Failed", "RerunOf", wrong)
        assert found
        status = structs.replace(status, steps=reused_steps(run, found))
    by_name = {each.name: each for each in status.steps}
    exits = spec.after_steps()
    every = (*spec.steps, *exits)
    statuses = {step.name: by_name.get(step.name) or StepStatus(name=step.name) for step in every}
    late = spec.deadline_seconds is not None and not left_s(status.start_time or now, spec.deadline_seconds, now)
    round_ = _Round(run, observed, now, statuses, {each.metadata.name: each for each in observed.children}, late)
    _advance_all(round_, spec.steps, cancel=late)
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
    if spec.deadline_seconds is not None and not late:
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


def _advance_all(round_: _Round, steps: Sequence[PipelineStep], *, outcome: str = "", cancel: bool = False) -> None:
    by_name = {step.name: step for step in steps}
    for name in in_order(steps):
        if name in by_name and round_.steps[name].phase not in ENDED:
            failed = cancel or any(round_.steps[each].phase == "Failed" for each in by_name)
            round_.steps[name] = _cancelled(round_, name) if failed else _advanced(round_, by_name[name], outcome)
    if any(round_.steps[name].phase == "Failed" for name in by_name):  # also those that were advanced before it
        for name in by_name:
            if round_.steps[name].phase not in ENDED:
                round_.steps[name] = _cancelled(round_, name)


def _advanced(round_: _Round, step: PipelineStep, outcome: str) -> StepStatus:
    """The status of a step that has not ended."""
    status = round_.steps[step.name]
    before = [round_.steps[name] for name in sorted(dependencies(step))]
    if any(each.phase not in ENDED for each in before):
        return status
    if any(each.phase == "Skipped" for each in before):
        return _ended(round_, status, "Skipped", "a step before it was skipped")
    try:
        values = values_of(round_.run.metadata, round_.run.spec.parameters, list(round_.steps.values()), outcome)
        if status.phase == "Waiting" and step.when and not matches(parse(step.when), values):
            return _ended(round_, status, "Skipped", f"not {step.when}")
        known = as_text(values)
        resolved_step = resolved(structs.replace(step, when=None), known)
        begin = _remote if step.cluster else _begun
        return begin(round_, resolved_step, status)
    except KeyError as error:
        return _failed(round_, status, f"$({error.args[0]}) has no value")
    except LykeionError as error:
        return _failed(round_, status, str(error))


def _begun(round_: _Round, step: PipelineStep, status: StepStatus) -> StepStatus:
    if step.for_each is not None and not items_of(step.for_each):
        return _ended(round_, status, "Skipped", "forEach has no items")
    if step.program and (image := step.program.image) and "@" not in image:
        status = status if is_pinned(image, status.image) else _with_image(round_, image, status)
        if not status.image:
            return status
        step = structs.replace(step, program=structs.replace(step.program, image=status.image))
    if status.phase == "Waiting":
        asked = _asked(round_, {each.name: each.artifact for each in step.inputs})
        if not asked.known:
            return structs.replace(status, message=asked.unavailable[:512])
        inputs = dict(asked.references)
        if step.cache:
            work = program_of(round_.run, step, inputs)
            cached = look_up(work.under(cache_alias(step, inputs)), round_.observed)
            if cached.reads:
                round_.reads += cached.reads
                return status
            if cached.known:
                found = structs.replace(status, outputs=dict(cached.references))
                return _ended(round_, found, "Cached", "")
        pinned = {each.name: inputs[each.name] for each in step.inputs if "@" not in each.artifact}
        status = structs.replace(status, phase="Running", start_time=round_.now, inputs=pinned, message="")
        round_.events.append(Event("Normal", "StepStarted", step.name))
    if step.program:
        inputs = {each.name: status.inputs.get(each.name, each.artifact) for each in step.inputs}
        return _program(round_, step, program_of(round_.run, step, inputs), status)
    return _resource(round_, resource_of(round_.run, step), status)


def _remote(round_: _Round, step: PipelineStep, status: StepStatus) -> StepStatus:
    """Of a step in another cluster. Its run is asked for when the status that names it was written."""
    if status.phase == "Waiting":
        placed = round_.remote.begin(step, status)
        if placed is None:
            return status
        round_.events.append(Event("Normal", "StepStarted", f"{step.name} in the cluster {step.cluster}"))
        round_.again_s = 0
        return structs.replace(placed, phase="Running", start_time=round_.now)
    if FINALIZER not in round_.run.metadata.finalizers:
        round_.again_s = 0
        return status
    there = round_.remote.run_of(step, status)
    ended = ended_as(there)
    if ended is None:
        round_.again_s = min(round_.again_s if round_.again_s is not None else LOOK_AGAIN_S, LOOK_AGAIN_S)
        if status.cluster in round_.remote.busy:
            return status
        error = round_.remote.errors.get(status.cluster, "")
        return structs.replace(status, message=(str(error) or progress_of(there, status))[:512])
    status = structs.replace(status, inputs=ended.inputs, outputs=ended.outputs, image=ended.image)
    if ended.phase == "Failed":
        return _failed(round_, status, ended.message)
    if _too_many_results(round_, ended.results):
        return _failed(round_, status, f"the results of all steps have more than {MAX_RESULTS} characters")
    return _ended(round_, structs.replace(status, results=ended.results), ended.phase, ended.message)


def _with_image(round_: _Round, image: str, status: StepStatus) -> StepStatus:
    """With the image by digest; without, as long as it is not known. Raises its error, if that is not waited for."""
    answer = look_up_image(image, round_.observed)
    if answer.error and (answer.invalid or round_.late):
        raise answer.error
    round_.reads += answer.reads
    if answer.error:
        round_.again_s = ASK_AGAIN_S
    return structs.replace(status, image=answer.image, message=str(answer.error or "")[:512])


def _asked(round_: _Round, artifacts: Mapping[str, str]) -> Answers:
    """What the registry says of artifacts, which is asked again if it does not answer. Raises NotFound; Unavailable
    after the deadline."""
    answers = look_up(artifacts, round_.observed)
    if answers.missing:
        raise NotFound(answers.missing)
    round_.reads += answers.reads
    if answers.unavailable and round_.late:
        raise Unavailable(answers.unavailable)
    if answers.unavailable:
        round_.again_s = ASK_AGAIN_S
    return answers


def _program(round_: _Round, step: PipelineStep, work: ArtifactWork, status: StepStatus) -> StepStatus:
    progress = advance(round_.run, (*work.before(), *work.after()), round_.observed)
    for each in (*work.volumes(), *progress.children):
        labelled = structs.replace(each.metadata, labels={STEP_LABEL: step.name})
        round_.children[each.metadata.name] = replace(each, metadata=labelled)
    if progress.state == "Failed":
        return _failed(round_, status, f"{progress.reason}: {progress.message}")
    if progress.state == "Running":
        return structs.replace(status, message=progress.lacking[:512])
    results = progress.present[work.program_part].status.result
    parsed_results(results)
    if _too_many_results(round_, results):
        return _failed(round_, status, f"the results of all steps have more than {MAX_RESULTS} characters")
    kept = _asked(round_, work.kept())
    if not kept.known:
        return structs.replace(status, message=kept.unavailable[:512])
    for each in work.volumes():
        round_.children.pop(each.metadata.name, None)
    return _ended(round_, structs.replace(status, outputs=dict(kept.references), results=results), "Succeeded", "")


def _too_many_results(round_: _Round, results: str) -> bool:
    return len(results) + sum(len(each.results) for each in round_.steps.values()) > MAX_RESULTS


def _resource(round_: _Round, wanted: AnyResource, status: StepStatus) -> StepStatus:
    round_.children[wanted.metadata.name] = wanted
    present = round_.observed.child(wanted.metadata.name)
    end = end_of(present.status.conditions) if present else None
    if end is None or present is None:
        return structs.replace(status, message=waits_for(present.status.conditions)[:512] if present else "")
    if end.type == "Failed":
        return _failed(round_, status, f"{end.reason}: {end.message}")
    status = structs.replace(status, outputs=present.status.outputs)
    if present.kind is TRAINING and present.status.model:
        outputs = {**status.outputs, "model": present.status.model}
        metrics = msgspec.json.encode(present.status.metrics).decode()
        status = structs.replace(status, outputs=outputs, results=metrics)
    return _ended(round_, status, "Succeeded", "")


def _cancelled(round_: _Round, name: str) -> StepStatus:
    """What the step still runs is stopped; a resource that it created is deleted.

    In another cluster that does not answer, it is left to the sweep.
    """
    if (status := round_.steps[name]).cluster and round_.remote.gone(status) is None:
        return status
    for key, child in list(round_.children.items()):
        if child.metadata.labels.get(STEP_LABEL) == name:
            if child.kind is WORK:
                round_.children[key] = replace(child, spec=structs.replace(child.spec, stop=True))
            elif child.kind in (TRAINING, BATCH_EXECUTION):
                del round_.children[key]
    return _ended(round_, round_.steps[name], "Cancelled", round_.steps[name].message)


def _ended(round_: _Round, status: StepStatus, phase: Any, message: str) -> StepStatus:
    if phase == "Succeeded":
        round_.events.append(Event("Normal", "StepSucceeded", status.name))
    return structs.replace(status, phase=phase, completion_time=round_.now, message=message[:512])


def _failed(round_: _Round, status: StepStatus, message: str) -> StepStatus:
    round_.events.append(Event("Warning", "StepFailed", f"{status.name}: {message}"))
    return _ended(round_, status, "Failed", message)


def _outcome(round_: _Round, steps: Sequence[PipelineStep]) -> Literal["", "Complete", "Failed"]:
    """How the steps have ended, or an empty string if they have not."""
    phases = {round_.steps[step.name].phase for step in steps}
    if not phases <= ENDED:
        return ""
    return "Failed" if phases & {"Failed", "Cancelled"} else "Complete"


def _with_steps(round_: _Round, status: PipelineRunStatus) -> PipelineRunStatus:
    steps = tuple(round_.steps.values())
    done = sum(each.phase in ENDED and each.phase not in ("Failed", "Cancelled") for each in steps)
    return structs.replace(status, steps=steps, progress=f"{done}/{len(steps)}")


def _finished(round_: _Round, status: PipelineRunStatus, outcome: Literal["Complete", "Failed"]) -> Decision:
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
