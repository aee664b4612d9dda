"""What a run takes from an earlier one: the good steps that need not run again."""

from msgspec import structs

from lykeion.platform.policies.lifecycle import has_finished
from lykeion.platform.resources.pipelines import PipelineRun, StepStatus, dependencies, downstream, in_order

from .step_values import GOOD


def wrong_earlier(run: PipelineRun, earlier: PipelineRun | None) -> str:
    """Why the steps of the earlier run cannot be used, or an empty string."""
    name, first = run.spec.rerun_of, run.spec.from_step
    if earlier is None:
        return f"rerunOf names {name}, which is not there"
    if not has_finished(earlier.status.conditions):
        return f"rerunOf names {name}, which has not finished"
    if earlier.spec.parameters != run.spec.parameters or earlier.spec.pipeline != run.spec.pipeline:
        return f"rerunOf names {name}, which is a run of another pipeline or with other parameters"
    if first and first not in {step.name for step in run.spec.steps}:
        return f"fromStep names {first}, which is no step"
    return ""


def reused_steps(run: PipelineRun, earlier: PipelineRun) -> tuple[StepStatus, ...]:
    """The good steps of an earlier run that need not run again: neither they nor those before them have changed."""
    steps = {step.name: step for step in run.spec.steps}
    again = downstream(run.spec.steps, run.spec.from_step) if run.spec.from_step else frozenset[str]()
    before = {step.name: step for step in earlier.spec.steps}
    good = {each.name: each for each in earlier.status.steps if each.phase in GOOD}
    reused: dict[str, StepStatus] = {}
    for name in in_order(run.spec.steps):
        same = before.get(name) == steps[name] and name in good and name not in again
        if same and dependencies(steps[name]) <= reused.keys():
            reused[name] = structs.replace(
                good[name], phase="Reused", message=f"from {earlier.metadata.name}", cluster="", remote_run=""
            )
    return tuple(reused.values())
