"""New runs, made by users: of a pipeline, and of what has finished."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from msgspec import structs

from lykeion.control import AnyResource, Exists, Key, ResourceError, ResourceStore
from lykeion.core import Conflict, Unsupported
from lykeion.platform.policies.lifecycle import has_finished
from lykeion.platform.resources.pipelines import PIPELINE, PIPELINE_RUN, Pipeline, PipelineRun
from lykeion.platform.resources.runs import BATCH_EXECUTION, IMAGE_BUILD, TRAINING

from .changed_specs import change_spec
from .controllers.pipeline_controller import run_of

MAX_ROOT = 50


async def run_pipeline(
    store: ResourceStore, key: Key, parameters: Mapping[str, str], *, first: str = "", name: str = ""
) -> AnyResource:
    """Create a run of a pipeline, by default named ``NAME-run-N``.

    With ``first``, only that step and those after it run; the others are taken from the last run with the same
    parameters. Raises ResourceError for unknown or lacking parameters, an unknown step, and if there is no such run;
    Unsupported if it is no pipeline.
    """
    pipeline: Pipeline = await store.get(key)
    if pipeline.kind is not PIPELINE:
        raise Unsupported(
            f"{key}: only a pipeline or an imagebuild can be run; to run again what has finished, use retry"
        )
    run = run_of(pipeline, name or key.name, parameters)
    if first:
        earlier = await _last_run(store, pipeline, run)
        spec = structs.replace(run.spec, rerun_of=earlier.metadata.name, from_step=_step_of(run, first, key))
        run = replace(run, spec=spec)
    return await store.create(run) if name else await _created(store, run, "run")


async def build_again(store: ResourceStore, key: Key) -> AnyResource:
    """Build an image now, whether or not its source has changed: ``spec.build`` is set to the time.

    Raises Unsupported for other kinds.
    """

    def again(resource: AnyResource) -> Any:
        if resource.kind is not IMAGE_BUILD:
            raise Unsupported(f"{key}: a {key.kind} builds no image")
        return structs.replace(resource.spec, build=datetime.now(UTC).isoformat(timespec="milliseconds"))

    return await change_spec(store, key, again)


async def retry(store: ResourceStore, key: Key, *, first: str = "", name: str = "") -> AnyResource:
    """Create a resource that does again what a finished one has not done, by default named ``NAME-retry-N``.

    A BatchExecution runs the shards that have not succeeded, a PipelineRun the steps, or with ``first`` that step and
    those after it; a Training runs from the beginning. Raises Unsupported for other kinds, Conflict if the old one
    has not finished or the name is in use.
    """
    old = await store.get(key)
    if old.kind not in (BATCH_EXECUTION, PIPELINE_RUN, TRAINING):
        raise Unsupported(f"{key}: a {key.kind} cannot be retried")
    if first and old.kind is not PIPELINE_RUN:
        raise Unsupported(f"{key}: only a pipelinerun has steps to begin from")
    if not has_finished(old.status.conditions):
        raise Conflict(f"{key} has not finished; wait for it, or suspend it")
    spec = structs.replace(old.spec, suspend=False)
    if old.kind is BATCH_EXECUTION:
        spec = structs.replace(spec, retry_of=key.name)
    elif old.kind is PIPELINE_RUN:
        spec = structs.replace(spec, rerun_of=key.name, from_step=_step_of(old, first, key) if first else None)
    again = old.kind.new(name or key.name, spec, namespace=key.namespace, labels=old.metadata.labels)
    return await store.create(again) if name else await _created(store, again, "retry")


async def _created(store: ResourceStore, resource: AnyResource, word: str) -> AnyResource:
    """Create the resource under the first free name after its own, also if others take names meanwhile."""
    while True:
        name = await _free_name(store, resource.key, word)
        with suppress(Exists):
            return await store.create(replace(resource, metadata=structs.replace(resource.metadata, name=name)))


async def _free_name(store: ResourceStore, key: Key, word: str) -> str:
    """The first of ``NAME-WORD-1``, ``NAME-WORD-2`` … that is not in use."""
    kind = next(each for each in (BATCH_EXECUTION, PIPELINE_RUN, TRAINING) if each.name == key.kind)
    taken = {each.metadata.name for each in (await store.listing(kind, key.namespace)).items}
    root = key.name.rpartition(f"-{word}-")[0] or key.name
    names = (f"{root[:MAX_ROOT]}-{word}-{number}" for number in range(1, len(taken) + 2))
    return next(each for each in names if each not in taken)


def _step_of(run: PipelineRun, name: str, key: Key) -> str:
    names = [step.name for step in run.spec.steps]
    if name not in names:
        raise ResourceError(f"{key} has no step {name[:60]!r}; there is {', '.join(names)}")
    return name


async def _last_run(store: ResourceStore, pipeline: Pipeline, like: PipelineRun) -> PipelineRun:
    runs = (await store.listing(PIPELINE_RUN, pipeline.metadata.namespace)).items
    same = [
        run
        for run in runs
        if run.spec.pipeline == pipeline.metadata.name
        and run.spec.parameters == like.spec.parameters
        and has_finished(run.status.conditions)
    ]
    if not same:
        raise ResourceError(f"{pipeline.key} has no finished run with these parameters to begin from")
    return max(same, key=lambda run: run.status.completion_time or datetime.min.replace(tzinfo=UTC))
