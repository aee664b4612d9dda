"""How one step of a PipelineRun goes on: begun when those before it have ended well, followed, and ended."""

from dataclasses import replace

import msgspec
from msgspec import structs

from lykeion.control import FINALIZER, AnyResource, Event
from lykeion.core import LykeionError
from lykeion.core.grammar import parse
from lykeion.core.matching import matches
from lykeion.platform.policies.artifacts import ArtifactWork, advance, is_pinned, look_up
from lykeion.platform.policies.lifecycle import end_of, waits_for
from lykeion.platform.resources.pipelines import PipelineStep, StepStatus, dependencies, resolved
from lykeion.platform.resources.runs import TRAINING

from .pipeline_round import ENDED, MAX_RESULTS, PipelineRound
from .remote_step import LOOK_AGAIN_S, ended_as, progress_of
from .step_values import as_text, items_of, parsed_results, values_of
from .step_work import STEP_LABEL, cache_alias, program_of, resource_of


def advance_step(round_: PipelineRound, step: PipelineStep, outcome: str) -> StepStatus:
    """The status of a step that has not ended."""
    status = round_.steps[step.name]
    before = [round_.steps[name] for name in sorted(dependencies(step))]
    if any(each.phase not in ENDED for each in before):
        return status
    if any(each.phase == "Skipped" for each in before):
        return round_.ended(status, "Skipped", "a step before it was skipped")
    try:
        values = values_of(round_.run.metadata, round_.run.spec.parameters, list(round_.steps.values()), outcome)
        if status.phase == "Waiting" and step.when and not matches(parse(step.when), values):
            return round_.ended(status, "Skipped", f"not {step.when}")
        known = as_text(values)
        resolved_step = resolved(structs.replace(step, when=None), known)
        begin = _remote if step.cluster else _begun
        return begin(round_, resolved_step, status)
    except KeyError as error:
        return round_.failed(status, f"$({error.args[0]}) has no value")
    except LykeionError as error:
        return round_.failed(status, str(error))


def _begun(round_: PipelineRound, step: PipelineStep, status: StepStatus) -> StepStatus:
    if step.for_each is not None and not items_of(step.for_each):
        return round_.ended(status, "Skipped", "forEach has no items")
    if step.program and (image := step.program.image) and "@" not in image:
        status = status if is_pinned(image, status.image) else round_.with_image(image, status)
        if not status.image:
            return status
        step = structs.replace(step, program=structs.replace(step.program, image=status.image))
    if status.phase == "Waiting":
        asked = round_.asked({each.name: each.artifact for each in step.inputs})
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
                return round_.ended(found, "Cached", "")
        pinned = {each.name: inputs[each.name] for each in step.inputs if "@" not in each.artifact}
        status = structs.replace(status, phase="Running", start_time=round_.now, inputs=pinned, message="")
        round_.events.append(Event("Normal", "StepStarted", step.name))
    if step.program:
        inputs = {each.name: status.inputs.get(each.name, each.artifact) for each in step.inputs}
        return _program(round_, step, program_of(round_.run, step, inputs), status)
    return _resource(round_, resource_of(round_.run, step), status)


def _remote(round_: PipelineRound, step: PipelineStep, status: StepStatus) -> StepStatus:
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
        return round_.failed(status, ended.message)
    if round_.too_many_results(ended.results):
        return round_.failed(status, f"the results of all steps have more than {MAX_RESULTS} characters")
    return round_.ended(structs.replace(status, results=ended.results), ended.phase, ended.message)


def _program(round_: PipelineRound, step: PipelineStep, work: ArtifactWork, status: StepStatus) -> StepStatus:
    progress = advance(round_.run, (*work.before(), *work.after()), round_.observed)
    for each in (*work.volumes(), *progress.children):
        labelled = structs.replace(each.metadata, labels={STEP_LABEL: step.name})
        round_.children[each.metadata.name] = replace(each, metadata=labelled)
    if progress.state == "Failed":
        return round_.failed(status, f"{progress.reason}: {progress.message}")
    if progress.state == "Running":
        return structs.replace(status, message=progress.lacking[:512])
    results = progress.present[work.program_part].status.result
    parsed_results(results)
    if round_.too_many_results(results):
        return round_.failed(status, f"the results of all steps have more than {MAX_RESULTS} characters")
    kept = round_.asked(work.kept())
    if not kept.known:
        return structs.replace(status, message=kept.unavailable[:512])
    for each in work.volumes():
        round_.children.pop(each.metadata.name, None)
    return round_.ended(structs.replace(status, outputs=dict(kept.references), results=results), "Succeeded", "")


def _resource(round_: PipelineRound, wanted: AnyResource, status: StepStatus) -> StepStatus:
    round_.children[wanted.metadata.name] = wanted
    present = round_.observed.child(wanted.metadata.name)
    end = end_of(present.status.conditions) if present else None
    if end is None or present is None:
        return structs.replace(status, message=waits_for(present.status.conditions)[:512] if present else "")
    if end.type == "Failed":
        return round_.failed(status, f"{end.reason}: {end.message}")
    status = structs.replace(status, outputs=present.status.outputs)
    if present.kind is TRAINING and present.status.model:
        outputs = {**status.outputs, "model": present.status.model}
        metrics = msgspec.json.encode(present.status.metrics).decode()
        status = structs.replace(status, outputs=outputs, results=metrics)
    return round_.ended(status, "Succeeded", "")
