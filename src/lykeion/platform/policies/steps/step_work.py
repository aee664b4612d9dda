"""What one step of a run is made of: a program with its artifacts, or the resource that it creates."""

from collections.abc import Mapping
from typing import Any

from msgspec import structs

from lykeion.control import AnyKind, AnyResource, child_name
from lykeion.platform.policies.artifacts import ArtifactWork
from lykeion.platform.resources.pipelines import PipelineRun, PipelineStep
from lykeion.platform.resources.plain_kinds import WorkSpec
from lykeion.platform.resources.runs import BATCH_EXECUTION, TRAINING, for_each_item

from .step_values import cache_key, items_of

STEP_LABEL = "lykeion.github.io/step"


def program_of(run: PipelineRun, step: PipelineStep, inputs: Mapping[str, str]) -> ArtifactWork:
    """Of a step whose references are replaced. Raises InvalidResult if there is no list to run it for."""
    assert step.program
    items = None if step.for_each is None else items_of(step.for_each)
    work = WorkSpec(
        program=step.program if items is None else for_each_item(step.program, len(items)),
        completions=1 if items is None else len(items),
        values=items or (),
        parallelism=step.parallelism,
        retries=step.retries,
        on_failure=step.on_failure,
        time_limit_seconds=step.time_limit_seconds,
        suspend=run.spec.suspend,
    )
    repository = f"pipelines/{run.metadata.namespace}/{run.spec.pipeline or 'runs'}/{step.name}"
    aliases = (cache_alias(step, inputs),) if step.cache else ()
    return ArtifactWork(run, work, inputs, step.outputs, repository, f"{step.name}/", aliases)


def cache_alias(step: PipelineStep, inputs: Mapping[str, str]) -> str:
    """The alias of the outputs of every step that runs the same program on the same inputs."""
    return f"cache-{cache_key(step, inputs)}"


def resource_of(run: PipelineRun, step: PipelineStep) -> AnyResource:
    """The Training or BatchExecution that the step creates."""
    spec: Any = step.training or step.batch
    kind: AnyKind = TRAINING if step.training else BATCH_EXECUTION
    spec = structs.replace(spec, suspend=spec.suspend or run.spec.suspend)
    name = child_name(run, f"{step.name}/resource")
    return kind.new(name, spec, namespace=run.metadata.namespace, labels={STEP_LABEL: step.name}, owner=run)
