"""A Pipeline as a Workflow of Argo Workflows, for those who have it: an export, not the way that pipelines are run.

What does not fit is named and refused. Argo lets steps end that run when another fails; here they are stopped.
"""

import json
from collections.abc import Iterator
from typing import Any

from lykeion.control import ResourceError
from lykeion.core import LykeionError, Unsupported
from lykeion.platform.kubernetes.objects import ClusterFacts
from lykeion.platform.policies.steps import items_of
from lykeion.platform.resources.pipelines import Pipeline, PipelineStep, dependencies, references

from .argo_expressions import as_condition, as_items, result_input, result_value
from .argo_templates import problems, results_of, step_template

ARGO = "argoproj.io/v1alpha1"
STEPS, EXIT = "dag", "exit-dag"
"""Names of templates; those of steps begin with ``step-``, those of their items with ``items-``."""

Document = dict[str, Any]


def as_argo(pipeline: Pipeline, facts: ClusterFacts) -> Document:
    """A Workflow; a CronWorkflow if the pipeline has a schedule. Raises Unsupported, with all that does not fit."""
    wrong = list(_problems(pipeline))
    if wrong:
        raise Unsupported(f"{pipeline.key} does not fit Argo Workflows: {'; '.join(wrong)}")
    spec = _workflow(pipeline, facts)
    metadata: Document = {"namespace": pipeline.metadata.namespace}
    if labels := pipeline.metadata.labels:
        metadata["labels"] = dict(labels)
    if pipeline.spec.schedule is None:
        made = {"apiVersion": ARGO, "kind": "Workflow"}
        return {**made, "metadata": {"generateName": f"{pipeline.metadata.name}-", **metadata}, "spec": spec}
    made = {"apiVersion": ARGO, "kind": "CronWorkflow", "metadata": {"name": pipeline.metadata.name, **metadata}}
    return {**made, "spec": {**_cron(pipeline), "workflowSpec": spec}}


def _problems(pipeline: Pipeline) -> Iterator[str]:
    spec = pipeline.spec
    for step in (*spec.steps, *spec.after_steps()):
        yield from (f"step {step.name}: {each}" for each in problems(step))
        if step.cluster:
            yield f"step {step.name}: Argo has no steps in another cluster"
    fanned = {each.name for each in spec.steps if each.for_each is not None}
    for step in spec.steps:
        for each in sorted({each.split(".")[1] for each in references(step) if ".results." in each} & fanned):
            yield f"step {step.name}: the results of {each}, which runs for several items"
    for step in spec.after_steps():
        if early := sorted(dependencies(step) & {each.name for each in spec.steps}):
            yield f"exit step {step.name}: Argo's exit handler does not know {', '.join(early)}"
    for step in (*spec.steps, *spec.after_steps()):
        for made in (_task, _template):
            try:
                made(step)
            except LykeionError as wrong:
                yield f"step {step.name}: {wrong}"


def _template(step: PipelineStep) -> Document:
    return step_template(step, ClusterFacts()) if step.program else {}


def _workflow(pipeline: Pipeline, facts: ClusterFacts) -> Document:
    spec = pipeline.spec
    exits = spec.after_steps()
    every = (*spec.steps, *exits)
    templates = [_dag(STEPS, spec.steps), *([_dag(EXIT, exits)] if exits else [])]
    templates += [_items(each) for each in every if each.for_each is not None]
    templates += [step_template(each, facts) for each in every]
    made: Document = {"entrypoint": STEPS, "templates": templates}
    if exits:
        made["onExit"] = EXIT
    if spec.parameters:
        made["arguments"] = {"parameters": [_parameter(each.name, each.default) for each in spec.parameters]}
    if spec.deadline_seconds is not None:
        made["activeDeadlineSeconds"] = spec.deadline_seconds
    if spec.ttl_seconds_after_finished is not None:
        made["ttlStrategy"] = {"secondsAfterCompletion": spec.ttl_seconds_after_finished}
    security = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    return {**made, "securityContext": security}


def _parameter(name: str, default: str | None) -> Document:
    return {"name": name} if default is None else {"name": name, "value": default}


def _cron(pipeline: Pipeline) -> Document:
    schedule = pipeline.spec.schedule
    if schedule is None:
        raise ResourceError(f"{pipeline.key} has no schedule")
    return {
        "schedules": [" ".join(schedule.cron.split())],
        "timezone": schedule.time_zone,
        "concurrencyPolicy": schedule.concurrency_policy,
        "startingDeadlineSeconds": schedule.starting_deadline_seconds,
        "successfulJobsHistoryLimit": schedule.succeeded_history,
        "failedJobsHistoryLimit": schedule.failed_history,
        "suspend": pipeline.spec.suspend,
    }


def _dag(name: str, steps: tuple[PipelineStep, ...]) -> Document:
    return {"name": name, "dag": {"tasks": [_task(each) for each in steps]}}


def _task(step: PipelineStep) -> Document:
    """A step that comes after a skipped one is skipped, which ``depends`` says and ``dependencies`` does not."""
    template = f"{'step' if step.for_each is None else 'items'}-{step.name}"
    task: Document = {"name": step.name, "template": template}
    if needs := sorted(dependencies(step)):
        task["depends"] = " && ".join(f"{each}.Succeeded" for each in needs)
    if step.when:
        task["when"] = as_condition(step.when)
    given = [{"name": result_input(each), "value": result_value(each)} for each in results_of(step)]
    if step.for_each is not None:
        given.append({"name": "items", "value": _list(step.for_each)})
    return {**task, "arguments": {"parameters": given}} if given else task


def _list(for_each: str) -> str:
    """A JSON list of texts, or the template of one."""
    if "$(" in for_each:
        return as_items(for_each)
    return json.dumps(items_of(for_each))


def _items(step: PipelineStep) -> Document:
    """The runs of a step over its items, so many at a time."""
    run = {"name": "item", "template": f"step-{step.name}", "withParam": "{{inputs.parameters.items}}"}
    results = [result_input(each) for each in results_of(step)]
    passed = [{"name": each, "value": f"{{{{inputs.parameters.{each}}}}}"} for each in results]
    task = {**run, "arguments": {"parameters": [*passed, {"name": "item", "value": "{{item}}"}]}}
    return {
        "name": f"items-{step.name}",
        "inputs": {"parameters": [{"name": each} for each in (*results, "items")]},
        "parallelism": step.parallelism,
        "dag": {"tasks": [task]},
    }
