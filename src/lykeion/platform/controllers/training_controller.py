"""Training: fetches its data, runs the program, publishes what it made: step after step, on shared volumes."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from msgspec import structs

from lykeion.control import (
    AnyResource,
    Decision,
    Observed,
    ResourceController,
)
from lykeion.platform.lookups import FoundModel, ModelVersion
from lykeion.platform.policies.artifacts import (
    ArtifactWork,
    ProgramStage,
    StageProgress,
    advance,
    await_registry,
    look_up,
    models_command,
    pin_inputs,
    registry_unavailable,
    with_pinned_image,
)
from lykeion.platform.policies.attempts import give_way, gives_way
from lykeion.platform.policies.lifecycle import (
    after_end,
    deadlines,
    finish,
    has_finished,
    progress_events,
    started,
    with_conditions,
    with_progress,
)
from lykeion.platform.resources.plain_kinds import WORK, Work, WorkSpec
from lykeion.platform.resources.programs import VOLUME, Volume, VolumeMount, VolumeSpec
from lykeion.platform.resources.runs import TRAINING, Training, TrainingStatus, run_volume, untagged

MODEL = ""
"""The name of the model among the outputs, of which none has it."""


def reconcile_training(training: Training, observed: Observed, now: datetime) -> Decision:
    if has_finished(training.status.conditions):
        return after_end(training, now)
    status: TrainingStatus = started(training.status, now)
    if decision := pin_inputs(training, status, observed, now):
        return decision
    work = _work(training)
    progress = advance(training, (*work.before(), *work.after(), *_publication(training)), observed)
    children = (_run(training), *work.volumes(), *progress.children)
    status = _followed(status, progress.present.get(work.program_part))
    if progress.state == "Failed":
        return finish(training, status, children, now, "Failed", progress.reason, progress.message)
    if progress.state == "Running":
        return _running(training, status, children, progress, progress.present.get(work.program_part), now)
    return _published(training, status, work, children, observed, now)


TRAININGS = ResourceController(TRAINING, (WORK, VOLUME), reconcile_training)


def _run(training: Training) -> Volume:
    """The directory that outlives attempts."""
    size = VolumeSpec(size=training.spec.run_size)
    return VOLUME.new(run_volume(training), size, namespace=training.metadata.namespace, owner=training)


def _work(training: Training) -> ArtifactWork:
    spec, roles = training.spec, training.spec.every_role()
    processes = sum(role.replicas for role in roles) or 1
    program = WorkSpec(
        program=with_pinned_image(spec.program, training.status),
        completions=processes,
        parallelism=processes,
        roles=roles,
        retries=spec.retries,
        on_failure=spec.on_failure,
        mounts=(VolumeMount(volume=run_volume(training), variable="LYKEION_RUN"),),
        suspend=spec.suspend or gives_way(training),
    )
    repository = f"trainings/{training.metadata.namespace}/{training.metadata.name}"
    return ArtifactWork(training, program, training.status.inputs, spec.outputs, repository)


def _publication(training: Training) -> Iterable[ProgramStage]:
    spec = training.spec
    if spec.publish:
        base, alias = untagged(spec.publish.model)
        run = VolumeMount(volume=run_volume(training), variable="LYKEION_RUN")
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
    program: Work | None,
    now: datetime,
) -> Decision:
    limits = deadlines(training, status, progress.begun, now)
    if limits.passed:
        message = progress.lacking or limits.message
        return finish(training, status, children, now, "Failed", limits.passed, message)
    status = with_progress(training, status, progress.active, now)
    given = give_way(training, program, now)
    status = with_conditions(training, status, now, *progress.notices, *given.conditions)
    again_s = min((each for each in (limits.again_s, given.again_s) if each is not None), default=None)
    return Decision(status, tuple(children), progress_events(training, status), requeue_after_s=again_s)


def _published(
    training: Training,
    status: TrainingStatus,
    work: ArtifactWork,
    children: Sequence[AnyResource],
    observed: Observed,
    now: datetime,
) -> Decision:
    """The end, after the versions were read from the registry; what the program says of them is not trusted."""
    named = {**work.kept(), **_published_name(training)}
    answers = look_up(named, observed)
    if answers.reads:
        return Decision(status, tuple(children), reads=answers.reads)
    if answers.missing:
        return finish(training, status, children, now, "Failed", "NotPublished", answers.missing)
    if answers.unavailable:
        waiting = (registry_unavailable(answers.unavailable),)
        return await_registry(training, status, tuple(children), waiting, now, begun=True)
    kept = {name: each for name, each in answers.references.items() if name != MODEL}
    status = structs.replace(status, outputs=kept)
    if MODEL not in named:
        return finish(training, status, children, now, "Complete", "ProgramSucceeded", "")
    model: FoundModel = observed.read[ModelVersion(named[MODEL])]
    status = structs.replace(status, model=model.reference, digest=model.digest, metrics=dict(model.metrics))
    return finish(training, status, children, now, "Complete", "Published", model.reference)


def _published_name(training: Training) -> dict[str, str]:
    """The name under which the version that was published is found."""
    publish = training.spec.publish
    return {MODEL: f"{untagged(publish.model)[0]}:{_run_alias(training)}"} if publish else {}
