"""Steps of a run in other clusters: each is a PipelineRun of that one step, which the operator there carries."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from msgspec import structs

from lykeion.control import AnyResource, Condition, Decision, Lookup, NotAsked, Observed, child_name, condition_of
from lykeion.core import Invalid, LykeionError, Unavailable, Unsupported
from lykeion.platform.lookups import ClusterAllowed, NoRemoteRun, RemoteRun
from lykeion.platform.policies.lifecycle import end_of, waits_for, with_conditions
from lykeion.platform.resources.pipelines import (
    PIPELINE_RUN,
    PipelineRun,
    PipelineRunSpec,
    PipelineStep,
    StepStatus,
    references,
)

from .step_work import STEP_LABEL

LOOK_AGAIN_S = 5.0
"""Between two looks at a run in another cluster."""
UNREACHABLE = "Unreachable"
"""The condition of a run whose step is in a cluster that does not answer, or does not let it in."""
_ANSWERS = Condition(type=UNREACHABLE, status="False", reason="Answers")


@dataclass
class RemoteSteps:
    """What one decision finds out of other clusters: ``reads`` first; then ``errors``, by cluster.

    ``busy`` are those that were not asked, of which everything stays as it was.
    """

    run: PipelineRun
    observed: Observed
    reads: list[Lookup] = field(default_factory=list[Lookup])
    errors: dict[str, LykeionError] = field(default_factory=dict[str, LykeionError])
    busy: set[str] = field(default_factory=set[str])

    def begin(self, step: PipelineStep, status: StepStatus) -> StepStatus | None:
        """The status with where the step's run is to be, before there is one; None while the cluster is not known.

        Raises the error for which it must not be there.
        """
        assert step.cluster
        if references(step):
            raise Invalid(f"a value has $({min(references(step))}), which the cluster {step.cluster} would replace")
        answer = self._answer(ClusterAllowed(step.cluster, self.run.metadata.namespace))
        if isinstance(answer, LykeionError):
            raise answer
        if answer is None:
            return None
        name = child_name(self.run, f"{step.name}/cluster")
        return structs.replace(status, cluster=step.cluster, remote_run=name)

    def run_of(self, step: PipelineStep, status: StepStatus) -> AnyResource | None:
        """The step's run in the other cluster, made if it is not there; None while nothing is known of it.

        Raises Invalid if the cluster refuses it as it is.
        """
        answer = self._answer(RemoteRun(*self._of(status), _wanted(self.run, step, status)))
        self._note(status, answer)
        if isinstance(answer, Invalid | Unsupported):
            raise answer
        return None if isinstance(answer, LykeionError) else answer

    def gone(self, status: StepStatus) -> bool | None:
        """Whether nothing of the step is left there; None while that is to be read first."""
        answer = self._answer(NoRemoteRun(*self._of(status)))
        self._note(status, answer)
        return answer if answer is None else answer is True

    def condition(self, before: tuple[Condition, ...]) -> tuple[Condition, ...]:
        """What is to be said of clusters that do not answer; nothing of a run that never had to, or has not asked."""
        if self.errors:
            reason = "NoAnswer" if isinstance(next(iter(self.errors.values())), Unavailable) else "Refused"
            message = "; ".join(map(str, self.errors.values()))
            return (Condition(type=UNREACHABLE, status="True", reason=reason, message=message),)
        return (_ANSWERS,) if condition_of(before, UNREACHABLE) and not self.busy else ()

    def _answer(self, lookup: Lookup) -> Any:
        """None if it is to be read first."""
        if lookup not in self.observed.read:
            self.reads.append(lookup)
        return self.observed.read.get(lookup)

    def _note(self, status: StepStatus, answer: Any) -> None:
        if isinstance(answer, NotAsked):
            self.busy.add(status.cluster)
        elif isinstance(answer, LykeionError):
            self.errors[status.cluster] = answer

    def _of(self, status: StepStatus) -> tuple[str, str, str, str, str]:
        metadata = self.run.metadata
        return status.cluster, metadata.namespace, status.remote_run, metadata.name, metadata.uid


def release_pipeline_run(run: PipelineRun, observed: Observed, now: datetime) -> Decision:
    """Of a run that was deleted: it goes when nothing of it is left in other clusters."""
    remote = RemoteSteps(run, observed)
    there = [each for each in run.status.steps if each.cluster]
    gone = [remote.gone(each) for each in there]
    if remote.reads:
        return Decision(run.status, reads=tuple(remote.reads))
    if all(gone):
        return Decision(run.status, (), finalizer=False)
    status = with_conditions(run, run.status, now, *remote.condition(run.status.conditions))
    return Decision(status, (), requeue_after_s=LOOK_AGAIN_S)


def progress_of(there: AnyResource | None, status: StepStatus) -> str:
    """What a step that has not ended waits for, or an empty string."""
    if there is None:
        return ""
    if there.status.start_time is None:
        return f"waits for the operator of the cluster {status.cluster}"
    step = next(iter(there.status.steps), None)
    return (step.message if step else "") or waits_for(there.status.conditions)


def ended_as(there: AnyResource | None) -> StepStatus | None:
    """The status of the step as its run in the other cluster has left it; None if that has not ended."""
    end = end_of(there.status.conditions) if there else None
    if there is None or end is None:
        return None
    step = next(iter(there.status.steps), None) or StepStatus(name="step")
    if end.type == "Complete":
        return step
    message = step.message or f"{end.reason}: {end.message}"
    return structs.replace(step, phase="Failed", message=message[:512])


def _wanted(run: PipelineRun, step: PipelineStep, status: StepStatus) -> AnyResource:
    """The run of the one step; what has been decided here is left out."""
    alone = structs.replace(step, cluster=None, needs=(), when=None)
    spec = PipelineRunSpec(steps=(alone,), pipeline=run.spec.pipeline, suspend=run.spec.suspend)
    return PIPELINE_RUN.new(status.remote_run, spec, namespace=run.metadata.namespace, labels={STEP_LABEL: step.name})
