"""How programs get their inputs from the registry and how their outputs are kept there: volumes, stages, lookups."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from msgspec import structs

from lykeion.control import AnyResource, Lookup, Observed, child_name
from lykeion.core import Invalid, LykeionError, NotFound
from lykeion.platform.lookups import FoundModel, ModelVersion
from lykeion.platform.resources.plain_kinds import WorkSpec
from lykeion.platform.resources.programs import VOLUME, VolumeMount, VolumeSpec
from lykeion.platform.resources.runs import KeptOutput

from .stages import ProgramStage, models_command

PROGRAM = "program"
"""The part in the name of the Work that runs a resource's own program."""
ASK_AGAIN_S = 5.0
"""Between two attempts to read from a registry that does not answer."""


@dataclass(frozen=True)
class Answers:
    """What is known of artifacts: ``references`` by digest, or what has to be read first, is missing, or failed.

    ``missing`` are those that asking again does not bring: also of names and models that are not valid.
    """

    references: Mapping[str, str] = field(default_factory=dict[str, str])
    reads: tuple[Lookup, ...] = ()
    missing: str = ""
    unavailable: str = ""

    @property
    def known(self) -> bool:
        return not (self.reads or self.missing or self.unavailable)


def look_up(artifacts: Mapping[str, str], observed: Observed) -> Answers:
    """References by digest of artifacts that are named by version, alias or digest."""
    asked = {name: ModelVersion(each) for name, each in artifacts.items() if "@" not in each}
    if reads := tuple(each for each in asked.values() if each not in observed.read):
        return Answers(reads=reads)
    answers: dict[str, Any] = {name: observed.read[each] for name, each in asked.items()}
    missing = [str(each) for each in answers.values() if isinstance(each, NotFound | Invalid)]
    failed = [str(each) for each in answers.values() if isinstance(each, LykeionError)]
    found = {name: each.reference for name, each in answers.items() if isinstance(each, FoundModel)}
    return Answers(
        {**artifacts, **found}, missing="; ".join(missing), unavailable="" if missing else "; ".join(failed)
    )


@dataclass(frozen=True)
class ArtifactWork:
    """A program with inputs and outputs; ``inputs`` are pinned to digests.

    ``part`` distinguishes several programs of one owner. The outputs are kept in repositories below ``repository``,
    under an alias of the owner and ``aliases``. ``resumed`` are earlier versions of outputs, for the program
    to add to.
    """

    owner: AnyResource
    program: WorkSpec
    inputs: Mapping[str, str]
    outputs: Sequence[KeptOutput]
    repository: str
    part: str = ""
    aliases: Sequence[str] = ()
    resumed: Mapping[str, str] = field(default_factory=dict[str, str])

    def volumes(self) -> tuple[AnyResource, ...]:
        parts = (*(("inputs",) if self.inputs else ()), *(("outputs",) if self.outputs else ()))
        namespace = self.owner.metadata.namespace
        return tuple(
            VOLUME.new(child_name(self.owner, self.part + part), VolumeSpec(), namespace=namespace, owner=self.owner)
            for part in parts
        )

    @property
    def program_part(self) -> str:
        return self.part + PROGRAM

    def before(self) -> tuple[ProgramStage, ...]:
        """Fetching, and the program."""
        mounts = (
            *((self._mount("inputs", read_only=True),) if self.inputs else ()),
            *((self._mount("outputs"),) if self.outputs else ()),
        )
        program = structs.replace(self.program, mounts=(*mounts, *self.program.mounts))
        stages = [ProgramStage("ProgramFailed", {self.program_part: program})]
        pulls = {f"{self.part}fetch-{name}": self._pull(name, pinned) for name, pinned in self.inputs.items()}
        resumed = [each for each in self.outputs if each.name in self.resumed]
        pulls |= {f"{self.part}resume-{each.name}": self._resume(each) for each in resumed}
        if pulls:
            stages.insert(0, ProgramStage("InputsNotFetched", pulls))
        return tuple(stages)

    def after(self) -> tuple[ProgramStage, ...]:
        """Keeping the outputs, and publishing them."""
        stages: list[ProgramStage] = []
        if self.outputs:
            keep = {f"{self.part}keep-{each.name}": self._push(each) for each in self.outputs}
            stages.append(ProgramStage("OutputsNotKept", keep))
        if published := [each for each in self.outputs if each.publish]:
            publish = {f"{self.part}publish-{each.name}": self._copy(each) for each in published}
            stages.append(ProgramStage("OutputsNotPublished", publish))
        return tuple(stages)

    def kept(self) -> dict[str, str]:
        """The names under which the outputs are kept, by the name of the output."""
        return {each.name: self._kept_as(each) for each in self.outputs}

    def under(self, alias: str) -> dict[str, str]:
        """The names of the outputs under another alias."""
        return {each.name: f"{self.repository}/{each.name}:{alias}" for each in self.outputs}

    def _pull(self, name: str, pinned: str) -> WorkSpec:
        return self._command(self._mount("inputs"), "pull", pinned, f"$(LYKEION_INPUTS)/{name}")

    def _resume(self, output: KeptOutput) -> WorkSpec:
        return self._command(self._mount("outputs"), "pull", self.resumed[output.name], _directory(output))

    def _push(self, output: KeptOutput) -> WorkSpec:
        directory = _directory(output)
        more = [word for alias in self.aliases for word in ("--alias", alias)]
        return self._command(self._mount("outputs"), "push", directory, self._kept_as(output), "--all-files", *more)

    def _copy(self, output: KeptOutput) -> WorkSpec:
        assert output.publish
        return self._command(self._mount("outputs"), "copy", self._kept_as(output), output.publish)

    def _command(self, mount: VolumeMount, *arguments: str) -> WorkSpec:
        return models_command(mount, *arguments, suspend=self.program.suspend)

    def _mount(self, part: str, *, read_only: bool = False) -> VolumeMount:
        name = child_name(self.owner, self.part + part)
        return VolumeMount(volume=name, variable=f"LYKEION_{part.upper()}", read_only=read_only)

    def _kept_as(self, output: KeptOutput) -> str:
        return f"{self.repository}/{output.name}:run-{self.owner.metadata.uid}"


def _directory(output: KeptOutput) -> str:
    return f"$(LYKEION_OUTPUTS)/{output.directory or output.name}"
