"""What one step of a run is made of: its volumes, the stages of its program, or the resource that it creates."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from msgspec import structs

from lykeion.control import AnyKind, AnyResource, child_name
from lykeion.platform.lookups import ModelVersion
from lykeion.platform.resources.batch_execution import BATCH_EXECUTION
from lykeion.platform.resources.program import EnvironmentVariable
from lykeion.platform.resources.program_volume import VOLUME, VolumeMount, VolumeSpec
from lykeion.platform.resources.step_pipeline import PipelineRun, PipelineStep, StepOutput
from lykeion.platform.resources.training import TRAINING
from lykeion.platform.resources.work import WorkSpec

from .stages import ProgramStage, models_command
from .step_values import cache_key, items_of

STEP_LABEL = "lykeion.github.io/step"


@dataclass(frozen=True)
class StepWork:
    """A step whose references are replaced; ``inputs`` are pinned to digests."""

    run: PipelineRun
    step: PipelineStep
    inputs: Mapping[str, str]

    def volumes(self) -> tuple[AnyResource, ...]:
        parts = (*(("inputs",) if self.step.inputs else ()), *(("outputs",) if self.step.outputs else ()))
        namespace, labels = self.run.metadata.namespace, {STEP_LABEL: self.step.name}
        return tuple(
            VOLUME.new(self._name(part), VolumeSpec(), namespace=namespace, labels=labels, owner=self.run)
            for part in parts
        )

    def stages(self) -> tuple[ProgramStage, ...]:
        """Of a program. Raises InvalidResult if there is no list to run it for."""
        step = self.step
        outputs = self._mount("outputs", "LYKEION_OUTPUTS")
        stages = [ProgramStage("ProgramFailed", {f"{step.name}/program": self._program()})]
        if step.inputs:
            fetch = {f"{step.name}/fetch-{name}": self._pull(name, pinned) for name, pinned in self.inputs.items()}
            stages.insert(0, ProgramStage("InputsNotFetched", fetch))
        if step.outputs:
            keep = {f"{step.name}/keep-{each.name}": self._push(outputs, each) for each in step.outputs}
            stages.append(ProgramStage("OutputsNotKept", keep))
        if published := [each for each in step.outputs if each.publish]:
            publish = {f"{step.name}/publish-{each.name}": self._copy(outputs, each) for each in published}
            stages.append(ProgramStage("OutputsNotPublished", publish))
        return tuple(stages)

    def resource(self) -> AnyResource:
        """The Training or BatchExecution that the step creates."""
        spec: Any = self.step.training or self.step.batch
        kind: AnyKind = TRAINING if self.step.training else BATCH_EXECUTION
        spec = structs.replace(spec, suspend=spec.suspend or self.run.spec.suspend)
        labels = {STEP_LABEL: self.step.name}
        return kind.new(
            self._name("resource"), spec, namespace=self.run.metadata.namespace, labels=labels, owner=self.run
        )

    def kept(self) -> dict[str, ModelVersion]:
        """The versions that its outputs have become, by the name of the output."""
        return {each.name: ModelVersion(self._kept_as(each)) for each in self.step.outputs}

    def cached(self) -> dict[str, ModelVersion]:
        """The outputs of an earlier step of the same program and inputs, by name."""
        key = cache_key(self.step, self.inputs)
        return {each.name: ModelVersion(f"{self._repository(each)}:cache-{key}") for each in self.step.outputs}

    def _program(self) -> WorkSpec:
        step = self.step
        assert step.program
        items = None if step.for_each is None else items_of(step.for_each)
        index = (
            EnvironmentVariable(name="LYKEION_SHARD", value="$(LYKEION_VALUE)"),
            EnvironmentVariable(name="LYKEION_SHARD_INDEX", value="$(JOB_COMPLETION_INDEX)"),
            EnvironmentVariable(name="LYKEION_SHARD_COUNT", value=str(len(items or ()))),
        )
        program = step.program if items is None else structs.replace(step.program, env=(*index, *step.program.env))
        mounts = (
            *((self._mount("inputs", "LYKEION_INPUTS", read_only=True),) if step.inputs else ()),
            *((self._mount("outputs", "LYKEION_OUTPUTS"),) if step.outputs else ()),
        )
        return WorkSpec(
            program=program,
            completions=1 if items is None else len(items),
            values=items or (),
            parallelism=step.parallelism,
            retries=step.retries,
            on_failure=step.on_failure,
            time_limit_seconds=step.time_limit_seconds,
            mounts=mounts,
            suspend=self.run.spec.suspend,
        )

    def _pull(self, name: str, pinned: str) -> WorkSpec:
        mount = self._mount("inputs", "LYKEION_INPUTS")
        return models_command(mount, "pull", pinned, f"$(LYKEION_INPUTS)/{name}", suspend=self.run.spec.suspend)

    def _push(self, mount: VolumeMount, output: StepOutput) -> WorkSpec:
        directory = f"$(LYKEION_OUTPUTS)/{output.directory or output.name}"
        aliases = ("--alias", f"cache-{cache_key(self.step, self.inputs)}") if self.step.cache else ()
        push = ("push", directory, self._kept_as(output), "--all-files", *aliases)
        return models_command(mount, *push, suspend=self.run.spec.suspend)

    def _copy(self, mount: VolumeMount, output: StepOutput) -> WorkSpec:
        assert output.publish
        return models_command(mount, "copy", self._kept_as(output), output.publish, suspend=self.run.spec.suspend)

    def _mount(self, part: str, variable: str, *, read_only: bool = False) -> VolumeMount:
        return VolumeMount(volume=self._name(part), variable=variable, read_only=read_only)

    def _name(self, part: str) -> str:
        return child_name(self.run, f"{self.step.name}/{part}")

    def _repository(self, output: StepOutput) -> str:
        pipeline = self.run.spec.pipeline or "runs"
        return f"pipelines/{self.run.metadata.namespace}/{pipeline}/{self.step.name}/{output.name}"

    def _kept_as(self, output: StepOutput) -> str:
        return f"{self._repository(output)}:run-{self.run.metadata.uid}"
