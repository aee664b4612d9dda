"""Training: a program that makes a model or an index, on one machine or several, and publishes it."""

from typing import Annotated, ClassVar

from msgspec import Meta

from lykeion.control import (
    ChangeRule,
    Column,
    Conditions,
    Resource,
    ResourceKind,
    SpecRule,
    Time,
    Wire,
    child_name,
)
from lykeion.platform.resources.plain_kinds import FailedAttempt, Role
from lykeion.platform.resources.programs import FailureRules, Program, Quantity

from .artifacts import ArtifactName, Inputs, Outputs, References, RelativePath, movable, unique_names
from .lifetime import DeadlineSeconds, Retries, StartDeadlineSeconds, Suspend, TtlSeconds, fixed


class PublishedModel(Wire, frozen=True):
    """Where the model is published once the program has succeeded."""

    model: Annotated[ArtifactName, Meta(description="Its name, and an alias to move to the version, if any.")]
    directory: Annotated[RelativePath, Meta(description="Below `$LYKEION_RUN`; by default all of it.")] = ""

    rules: ClassVar[tuple[SpecRule, ...]] = (movable("model"),)


class TrainingSpec(Wire, frozen=True):
    """What to run, where, and what becomes of the result."""

    program: Annotated[
        Program, Meta(description="Run by each worker; what it writes to `$LYKEION_RUN` outlives its attempts.")
    ]
    workers: Annotated[
        int,
        Meta(ge=1, le=1000, description="How many processes run it, all at once or none."),
    ] = 1
    roles: Annotated[
        tuple[Role, ...], Meta(max_length=16, description="For programs whose processes have different parts.")
    ] = ()
    inputs: Inputs = ()
    outputs: Outputs = ()
    run_size: Annotated[Quantity, Meta(description="Of the run directory, on a cluster.")] | None = None
    publish: Annotated[PublishedModel, Meta(description="What is published; by default nothing.")] | None = None
    retries: Annotated[Retries, Meta(description="Further attempts, with the same run directory.")] = 3
    on_failure: FailureRules = ()
    deadline_seconds: DeadlineSeconds | None = None
    start_deadline_seconds: StartDeadlineSeconds | None = None
    suspend: Suspend = False
    ttl_seconds_after_finished: TtlSeconds | None = None

    rules: ClassVar[tuple[SpecRule, ...]] = (
        SpecRule(
            "give either workers or roles",
            "self.workers == 1 || size(self.roles) == 0",
            lambda spec: spec.workers == 1 or not spec.roles,
        ),
        unique_names("roles"),
        unique_names("inputs"),
        unique_names("outputs"),
        SpecRule(
            "the output model is that of publish; name it otherwise",
            "!has(self.publish) || self.outputs.all(each, each.name != 'model')",
            lambda spec: spec.publish is None or all(each.name != "model" for each in spec.outputs),
        ),
        SpecRule(
            "roles are more than 1000 processes",
            "self.roles.map(role, role.replicas).sum() <= 1000",
            lambda spec: sum(role.replicas for role in spec.roles) <= 1000,
        ),
    )
    change_rules: ClassVar[tuple[ChangeRule, ...]] = tuple(
        fixed(field) for field in ("program", "workers", "roles", "inputs", "outputs", "publish")
    )

    def every_role(self) -> tuple[Role, ...]:
        """The roles of a distributed program; none for a single process."""
        return self.roles or ((Role(name="worker", replicas=self.workers),) if self.workers > 1 else ())


Metrics = Annotated[dict[str, float], Meta(max_length=64)]


class TrainingStatus(Wire, frozen=True):
    start_time: Time | None = None
    completion_time: Time | None = None
    inputs: References = {}
    image: Annotated[str, Meta(max_length=512)] = ""
    """Of the program, by digest, if it was named by a tag."""
    attempts: int = 0
    failures: Annotated[tuple[FailedAttempt, ...], Meta(max_length=10)] = ()
    model: Annotated[str, Meta(max_length=512)] = ""
    """The version that was published, by its number or digest."""
    digest: Annotated[str, Meta(max_length=80)] = ""
    metrics: Metrics = {}
    outputs: References = {}
    conditions: Conditions = ()


TRAINING = ResourceKind(
    "Training",
    "trainings",
    TrainingSpec,
    TrainingStatus,
    "A program that makes a model or an index, and publishes it.",
    ("train",),
    (
        Column("State", ".status.conditions[?(@.status=='True')].type"),
        Column("Attempts", ".status.attempts", "integer"),
        Column("Model", ".status.model"),
        Column("Digest", ".status.digest", wide=True),
        Column("Age", ".metadata.creationTimestamp", "date"),
    ),
)
Training = Resource[TrainingSpec, TrainingStatus]


def run_volume(training: Training) -> str:
    """The name of the volume with its run directory."""
    return child_name(training, "run")


def untagged(model: str) -> tuple[str, str]:
    """The name of a model without its alias, and the alias."""
    place, slash, last = model.rpartition("/")
    name, _, alias = last.partition(":")
    return place + slash + name, alias
