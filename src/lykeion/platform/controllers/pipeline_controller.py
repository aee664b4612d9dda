"""Pipeline: creates a PipelineRun at each time of its schedule, and deletes the oldest that have finished."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from msgspec import structs

from lykeion.control import Condition, Decision, Observed, ResourceController, ResourceError
from lykeion.platform.policies.lifecycle import decide_runs, run_name, with_conditions
from lykeion.platform.resources.pipelines import PIPELINE, PIPELINE_RUN, Pipeline, PipelineRun, PipelineRunSpec

ON_DEMAND = Condition(type="Ready", status="True", reason="OnDemand")


def reconcile_pipeline(pipeline: Pipeline, observed: Observed, now: datetime) -> Decision:
    spec, status = pipeline.spec, pipeline.status
    if spec.schedule is None:
        return Decision(with_conditions(pipeline, structs.replace(status, next_schedule_time=None), now, ON_DEMAND))

    def new_run(at: datetime) -> PipelineRun:
        run = run_of(pipeline, run_name(pipeline, at))
        return replace(run, metadata=structs.replace(run.metadata, owner_references=(pipeline.reference(),)))

    runs = decide_runs(pipeline, spec.schedule, new_run, observed.children, now)
    return Decision(runs.status, runs.children, runs.events, requeue_after_s=runs.again_s)


PIPELINES = ResourceController(PIPELINE, (PIPELINE_RUN,), reconcile_pipeline)


def run_of(pipeline: Pipeline, name: str, parameters: Mapping[str, str] | None = None) -> PipelineRun:
    """A run with the steps as they are now. Raises ResourceError for a parameter that is unknown or has no value."""
    spec, given = pipeline.spec, dict(parameters or {})
    declared = {each.name: each.default for each in spec.parameters}
    if unknown := sorted(given.keys() - declared.keys()):
        known = ", ".join(declared) or "none"
        raise ResourceError(f"{pipeline.key} has no parameter {unknown[0][:60]!r}; there is {known}")
    values = {each: given.get(each, default) for each, default in declared.items()}
    if lacking := [each for each, value in values.items() if value is None]:
        raise ResourceError(f"{pipeline.key}: give a value for {', '.join(lacking)}")
    run = PipelineRunSpec(
        pipeline=pipeline.metadata.name,
        parameters={each: value for each, value in values.items() if value is not None},
        steps=spec.steps,
        exit_steps=spec.exit_steps,
        deadline_seconds=spec.deadline_seconds,
        ttl_seconds_after_finished=spec.ttl_seconds_after_finished,
    )
    return PIPELINE_RUN.new(name, run, namespace=pipeline.metadata.namespace, labels=pipeline.metadata.labels)
