"""lykeion delete says of each resource whether it has gone, or what it is still there for."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from click.testing import CliRunner
from msgspec import structs

from lykeion.cli import app
from lykeion.cli.platform import change_commands
from lykeion.control import FINALIZER, Key, NoSuchResource
from lykeion.platform.resources.pipelines.step_pipeline import PIPELINE_RUN, PipelineRunSpec, PipelineStep, StepStatus
from lykeion.platform.resources.programs.program import Program

STEP = PipelineStep(name="train", program=Program(command=("train",)), cluster="eks")


class Held:
    """A store in which a run that was deleted stays as long as it has finalizers."""

    def __init__(self, *finalizers: str) -> None:
        made = PIPELINE_RUN.new("night-1", PipelineRunSpec(steps=(STEP,)))
        steps = (StepStatus(name="train", cluster="eks", remote_run="night-1-0a"), StepStatus(name="check"))
        metadata = structs.replace(made.metadata, uid="1", finalizers=finalizers)
        self.run = replace(made, metadata=metadata, status=structs.replace(made.status, steps=steps))

    async def get(self, key: Key) -> Any:
        if self.run.is_ending and not self.run.metadata.finalizers:
            raise NoSuchResource(f"there is no {key}")
        return self.run

    async def delete(self, key: Key, uid: str = "") -> None:
        ending = structs.replace(self.run.metadata, deletion_timestamp=datetime(2026, 11, 1, tzinfo=UTC))
        self.run = replace(self.run, metadata=ending)

    async def set_finalizer(self, resource: Any, has: bool) -> Any:
        others = tuple(each for each in resource.metadata.finalizers if each != FINALIZER)
        self.run = replace(resource, metadata=structs.replace(resource.metadata, finalizers=others))
        return self.run


@pytest.mark.parametrize(
    ("finalizers", "options", "said"),
    [
        ((), (), "pipelinerun/night-1 deleted"),
        ((FINALIZER,), (), "is being deleted: waits for pipelinerun/night-1-0a in the cluster eks"),
        ((FINALIZER,), ("--force-release",), "pipelinerun/night-1 deleted"),
        (("example.com/hold",), (), "is being deleted: waits for the finalizer example.com/hold"),
        ((FINALIZER, "example.com/hold"), ("--force-release",), "waits for the finalizer example.com/hold"),
    ],
)
def test_what_a_deleted_run_is_still_there_for_is_said(
    monkeypatch: pytest.MonkeyPatch, finalizers: tuple[str, ...], options: tuple[str, ...], said: str
) -> None:
    store = Held(*finalizers)

    def with_held(work: Callable[[Any], Any]) -> Any:
        return asyncio.run(work(store))

    monkeypatch.setattr(change_commands, "with_platform", with_held)
    done = CliRunner().invoke(app, ["delete", "run/night-1", *options])
    assert done.exit_code == 0, done.output
    assert done.output.splitlines()[0].endswith(said)
