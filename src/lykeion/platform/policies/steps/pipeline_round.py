"""One decision about a PipelineRun in the making: how its steps end, and what is read before they can begin."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from msgspec import structs

from lykeion.control import AnyResource, Event, Key, Lookup, Observed
from lykeion.core import NotFound, Unavailable
from lykeion.platform.policies.artifacts import ASK_AGAIN_S, Answers, look_up, look_up_image
from lykeion.platform.resources.pipelines import PipelineRun, StepStatus
from lykeion.platform.resources.plain_kinds import WORK
from lykeion.platform.resources.runs import BATCH_EXECUTION, TRAINING

from .remote_step import RemoteSteps
from .step_work import STEP_LABEL

MAX_RESULTS = 16_384
"""Of all steps together: a status is small."""
ENDED = frozenset({"Succeeded", "Failed", "Skipped", "Cached", "Reused", "Cancelled"})


@dataclass
class PipelineRound:
    """The status of each step, the children, and what is to be read first."""

    run: PipelineRun
    observed: Observed
    now: datetime
    steps: dict[str, StepStatus]
    children: dict[str, AnyResource]
    late: bool
    """Whether the deadline has passed: nothing is waited for any more."""
    reads: list[Key | Lookup] = field(default_factory=list[Key | Lookup])
    events: list[Event] = field(default_factory=list[Event])
    again_s: float | None = None

    def __post_init__(self) -> None:
        self.remote = RemoteSteps(self.run, self.observed)

    def ended(self, status: StepStatus, phase: Any, message: str) -> StepStatus:
        if phase == "Succeeded":
            self.events.append(Event("Normal", "StepSucceeded", status.name))
        return structs.replace(status, phase=phase, completion_time=self.now, message=message[:512])

    def failed(self, status: StepStatus, message: str) -> StepStatus:
        self.events.append(Event("Warning", "StepFailed", f"{status.name}: {message}"))
        return self.ended(status, "Failed", message)

    def cancelled(self, name: str) -> StepStatus:
        """What the step still runs is stopped; a resource that it created is deleted.

        In another cluster that does not answer, it is left to the sweep.
        """
        if (status := self.steps[name]).cluster and self.remote.gone(status) is None:
            return status
        for key, child in list(self.children.items()):
            if child.metadata.labels.get(STEP_LABEL) == name:
                if child.kind is WORK:
                    self.children[key] = replace(child, spec=structs.replace(child.spec, stop=True))
                elif child.kind in (TRAINING, BATCH_EXECUTION):
                    del self.children[key]
        return self.ended(self.steps[name], "Cancelled", self.steps[name].message)

    def with_image(self, image: str, status: StepStatus) -> StepStatus:
        """With the image by digest; without, as long as it is not known. Raises its error if none waits for it."""
        answer = look_up_image(image, self.observed)
        if answer.error and (answer.invalid or self.late):
            raise answer.error
        self.reads += answer.reads
        if answer.error:
            self.again_s = ASK_AGAIN_S
        return structs.replace(status, image=answer.image, message=str(answer.error or "")[:512])

    def asked(self, artifacts: Mapping[str, str]) -> Answers:
        """What the registry says of artifacts, which is asked again if it does not answer.

        Raises NotFound, and Unavailable after the deadline.
        """
        answers = look_up(artifacts, self.observed)
        if answers.missing:
            raise NotFound(answers.missing)
        self.reads += answers.reads
        if answers.unavailable and self.late:
            raise Unavailable(answers.unavailable)
        if answers.unavailable:
            self.again_s = ASK_AGAIN_S
        return answers

    def too_many_results(self, results: str) -> bool:
        return len(results) + sum(len(each.results) for each in self.steps.values()) > MAX_RESULTS
