"""Programs that run one after the other on the same volumes: fetch from the registry, run, publish.

Each stage is a number of Works that run at the same time; the next begins when all of them have succeeded.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from lykeion.control import AnyResource, Condition, Observed, child_name, condition_of, is_true
from lykeion.core import ERROR, TEMPORARY_CODE
from lykeion.platform.resources.plain_kinds import WORK, Work, WorkSpec
from lykeion.platform.resources.programs import EnvironmentVariable, FailureRule, Program, VolumeMount

ROOM = Condition(type="Unschedulable", status="False", reason="Room")
"""Nothing is known to be lacking."""
RETRIES = 3
"""Of fetching and publishing, after errors that may pass: a name that is not valid, or 401, is not tried again."""
TEMPORARY = 75
"""EX_TEMPFAIL of sysexits.h."""


@dataclass(frozen=True)
class ProgramStage:
    """``works`` are its children, by the part of their names; ``failure`` is the reason if one of them fails."""

    failure: str
    works: Mapping[str, WorkSpec]


@dataclass(frozen=True)
class StageProgress:
    """``children`` are all Works that have been reached, ``present`` those of them that exist, by part."""

    state: Literal["Running", "Complete", "Failed"]
    children: tuple[AnyResource, ...]
    present: Mapping[str, Work] = field(default_factory=dict[str, Work])
    reason: str = ""
    message: str = ""

    @property
    def active(self) -> bool:
        return any(work.status.active for work in self.present.values())

    @property
    def begun(self) -> bool:
        """Whether any program was started."""
        return any(work.status.attempts for work in self.present.values())

    @property
    def lacking(self) -> str:
        """Why programs cannot be started, or an empty string."""
        found = (condition_of(work.status.conditions, "Unschedulable") for work in self.present.values())
        return "; ".join(each.message for each in found if each and each.status == "True")

    @property
    def notices(self) -> tuple[Condition, ...]:
        """The conditions Unschedulable and, if there is something to say, Ignored."""
        found = [condition_of(work.status.conditions, "Unschedulable") for work in self.present.values()]
        reason = next((each.reason for each in found if each and each.status == "True"), "")
        lacks = Condition(type="Unschedulable", status="True", reason=reason, message=self.lacking)
        room = lacks if self.lacking else ROOM
        ignored = (condition_of(work.status.conditions, "Ignored") for work in self.present.values())
        return room, *list(filter(None, ignored))[:1]


def advance(owner: AnyResource, stages: Iterable[ProgramStage], observed: Observed) -> StageProgress:
    """How far the stages are; the children include those of the stage that is next."""
    children: list[AnyResource] = []
    present: dict[str, Work] = {}
    for stage in stages:
        for part, spec in stage.works.items():
            work = WORK.new(child_name(owner, part), spec, namespace=owner.metadata.namespace, owner=owner)
            children.append(work)
            if found := observed.child(work.metadata.name):
                present[part] = found
        works = [present[part] for part in stage.works if part in present]
        for work in works:
            if is_true(work.status.conditions, "Failed"):
                return StageProgress("Failed", tuple(children), present, stage.failure, _cause(work))
        if sum(is_true(work.status.conditions, "Complete") for work in works) < len(stage.works):
            return StageProgress("Running", tuple(children), present)
    return StageProgress("Complete", tuple(children), present)


def models_command(mount: VolumeMount, *arguments: str, suspend: bool = False) -> WorkSpec:
    """``lykeion models`` with arguments, as a Work: only such have the credentials of registries."""
    env = (EnvironmentVariable(name=TEMPORARY_CODE, value=str(TEMPORARY)),)
    program = Program(command=("lykeion", "models"), args=(*arguments, "--quiet"), env=env)
    final = (FailureRule(action="Fail", exit_codes=(ERROR,)),)
    return WorkSpec(
        program=program,
        completions=1,
        retries=RETRIES,
        on_failure=final,
        mounts=(mount,),
        uses_registry=True,
        suspend=suspend,
    )


def _cause(work: Work) -> str:
    last = work.status.failures[-1:]
    return f"attempt {last[0].attempt + 1}: {last[0].words()}" if last else ""
