"""Training: fetches its data, runs the program, publishes the model: one step after the other, on shared volumes."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from msgspec import structs

from lykeion.control import (
    AnyResource,
    Condition,
    Decision,
    Observed,
    ResourceController,
    child_name,
    condition_of,
)
from lykeion.core import LykeionError, NotFound
from lykeion.platform.lookups import FoundModel, ModelVersion
from lykeion.platform.policies.completion import (
    after_end,
    finish,
    has_finished,
    left_s,
    progress_events,
    started,
    with_conditions,
    with_progress,
)
from lykeion.platform.policies.stages import ProgramStage, StageProgress, advance, models_command
from lykeion.platform.resources.program_volume import VOLUME, Volume, VolumeMount, VolumeSpec
from lykeion.platform.resources.training import TRAINING, Training, TrainingStatus, run_volume, untagged
from lykeion.platform.resources.work import WORK, Work, WorkSpec

AGAIN_S = 5.0
"""Between two attempts to read a version from a registry that does not answer."""


def reconcile_training(training: Training, observed: Observed, now: datetime) -> Decision:
    if has_finished(training.status.conditions):
        return after_end(training, now)
    status: TrainingStatus = started(training.status, now)
    asked = {each.name: ModelVersion(each.artifact) for each in training.spec.data if each.name not in status.data}
    if asked:
        return _with_data(training, status, asked, observed, now)
    progress = advance(training, _stages(training), observed)
    children = (*_volumes(training), *progress.children)
    status = _followed(status, progress.present.get("program"))
    if progress.state == "Failed":
        return finish(training, status, children, now, "Failed", progress.reason, progress.message)
    if progress.state == "Running":
        return _running(training, status, children, progress, now)
    return _published(training, status, children, observed, now)


TRAININGS = ResourceController(TRAINING, (WORK, VOLUME), reconcile_training)


def _with_data(
    training: Training, status: TrainingStatus, asked: Mapping[str, ModelVersion], observed: Observed, now: datetime
) -> Decision:
    """Pin the data to digests, so that each attempt has the same."""
    if any(each not in observed.read for each in asked.values()):
        return Decision(training.status, reads=tuple(asked.values()))
    answers = {name: observed.read[each] for name, each in asked.items()}
    for answer in answers.values():
        if isinstance(answer, NotFound):
            return finish(training, status, (), now, "Failed", "DataNotFound", str(answer))
    found = {name: answer.reference for name, answer in answers.items() if isinstance(answer, FoundModel)}
    status = structs.replace(status, data={**status.data, **found})
    errors = [str(answer) for answer in answers.values() if isinstance(answer, LykeionError)]
    again_s = AGAIN_S if errors else 0.0
    waiting = Condition(type="Running", status="False", reason="RegistryUnavailable", message="; ".join(errors))
    status = with_conditions(training, status, now, waiting)
    return Decision(status, events=progress_events(training, status), requeue_after_s=again_s)


def _volumes(training: Training) -> tuple[Volume, ...]:
    sizes = {"run": training.spec.run_size, **({"data": training.spec.data_size} if training.spec.data else {})}
    return tuple(
        VOLUME.new(
            child_name(training, part),
            VolumeSpec(size=size),
            namespace=training.metadata.namespace,
            owner=training,
        )
        for part, size in sizes.items()
    )


def _stages(training: Training) -> Iterable[ProgramStage]:
    spec, roles = training.spec, training.spec.every_role()
    run = VolumeMount(volume=run_volume(training), variable="LYKEION_RUN")
    data = VolumeMount(volume=child_name(training, "data"), variable="LYKEION_DATA")
    if spec.data:
        pulls = {
            f"fetch-{name}": models_command(data, "pull", pinned, f"$(LYKEION_DATA)/{name}", suspend=spec.suspend)
            for name, pinned in training.status.data.items()
        }
        yield ProgramStage("DataNotFetched", pulls)
    processes = sum(role.replicas for role in roles) or 1
    program = WorkSpec(
        program=spec.program,
        completions=processes,
        parallelism=processes,
        roles=roles,
        retries=spec.retries,
        on_failure=spec.on_failure,
        mounts=(run, *((structs.replace(data, read_only=True),) if spec.data else ())),
        suspend=spec.suspend,
    )
    yield ProgramStage("ProgramFailed", {"program": program})
    if spec.publish:
        base, alias = untagged(spec.publish.model)
        push = ("push", f"$(LYKEION_RUN)/{spec.publish.directory}", f"{base}:{_run_alias(training)}")
        more = ("--run", f"training/{training.metadata.name}", *(("--alias", alias) if alias else ()))
        yield ProgramStage("NotPublished", {"publish": models_command(run, *push, *more, suspend=spec.suspend)})


def _run_alias(training: Training) -> str:
    """The alias under which this training's version is found."""
    return f"run-{training.metadata.uid}"


def _followed(status: TrainingStatus, program: Work | None) -> TrainingStatus:
    if program is None:
        return status
    return structs.replace(status, attempts=program.status.attempts, failures=program.status.failures)


def _running(
    training: Training,
    status: TrainingStatus,
    children: Sequence[AnyResource],
    progress: StageProgress,
    now: datetime,
) -> Decision:
    spec, start = training.spec, status.start_time or now
    short = [condition_of(work.status.conditions, "Unschedulable") for work in progress.present.values()]
    lacking = [each for each in short if each and each.status == "True"]
    start_deadline_s = None if progress.begun else spec.start_deadline_seconds
    limits = {"DeadlineExceeded": spec.deadline_seconds, "NotStarted": start_deadline_s}
    left = {reason: left_s(start, limit, now) for reason, limit in limits.items() if limit is not None}
    for reason, seconds in left.items():
        if not seconds:
            message = "; ".join(each.message for each in lacking) or f"after {limits[reason]} s"
            return finish(training, status, children, now, "Failed", reason, message)
    status = with_progress(training, status, progress.active, now)
    status = with_conditions(training, status, now, *(lacking or filter(None, short)))
    again_s = min(left.values(), default=None)
    return Decision(status, tuple(children), progress_events(training, status), requeue_after_s=again_s)


def _published(
    training: Training, status: TrainingStatus, children: Sequence[AnyResource], observed: Observed, now: datetime
) -> Decision:
    """The end, after the version was read from the registry; what the program says of it is not trusted."""
    if not training.spec.publish:
        return finish(training, status, children, now, "Complete", "ProgramSucceeded", "")
    asked = ModelVersion(f"{untagged(training.spec.publish.model)[0]}:{_run_alias(training)}")
    if asked not in observed.read:
        return Decision(status, tuple(children), reads=(asked,))
    found = observed.read[asked]
    if isinstance(found, NotFound):
        return finish(training, status, children, now, "Failed", "NotPublished", str(found))
    if isinstance(found, LykeionError):
        waiting = Condition(type="Running", status="False", reason="RegistryUnavailable", message=str(found))
        return Decision(with_conditions(training, status, now, waiting), tuple(children), requeue_after_s=AGAIN_S)
    status = structs.replace(status, model=found.reference, digest=found.digest, metrics=dict(found.metrics))
    return finish(training, status, children, now, "Complete", "Published", found.reference)
