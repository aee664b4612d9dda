"""Training: a program that makes a model, on one machine or distributed over several, and publishes it."""

from typing import Annotated, ClassVar

from msgspec import Meta

from lykeion.control import (
    ChangeRule,
    Column,
    Conditions,
    Name,
    Resource,
    ResourceKind,
    SpecRule,
    Time,
    Wire,
    child_name,
)

from .failure_rule import FailureRules
from .lifetime import DeadlineSeconds, Retries, StartDeadlineSeconds, Suspend, TtlSeconds, fixed
from .program import Program
from .quantities import Quantity
from .work import FailedAttempt, Role

ModelName = Annotated[
    str,
    Meta(
        max_length=512,
        pattern=r"^([a-zA-Z0-9]|\$\([a-zA-Z0-9._-]+\))([a-zA-Z0-9._:/@-]|\$\([a-zA-Z0-9._-]+\))*$",
        extra={"must be": "the name of a model, such as shoes, shoes:v3 or registry.example.com/shop/shoes:champion"},
    ),
]
RelativePath = Annotated[
    str,
    Meta(
        max_length=255,
        pattern=r"^([A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*)?$",
        extra={"must be": "a path below the directory, without '..'"},
    ),
]


class TrainingData(Wire, frozen=True):
    """What is fetched from the registry before the program starts."""

    name: Annotated[Name, Meta(description="Its directory, below `$LYKEION_DATA`.")]
    artifact: Annotated[ModelName, Meta(description="A model or directory in the registry, best by digest.")]


class PublishedModel(Wire, frozen=True):
    """Where the model is published once the program has succeeded."""

    model: Annotated[ModelName, Meta(description="Its name, and an alias to move to the version, if any.")]
    directory: Annotated[RelativePath, Meta(description="Below `$LYKEION_RUN`; by default all of it.")] = ""

    rules: ClassVar[tuple[SpecRule, ...]] = (
        SpecRule("model names a digest", "!self.model.contains('@')", lambda publish: "@" not in publish.model),
    )


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
    data: Annotated[
        tuple[TrainingData, ...], Meta(max_length=32, description="Fetched before the program starts.")
    ] = ()
    run_size: Annotated[Quantity, Meta(description="Of the run directory, on a cluster.")] | None = None
    data_size: Annotated[Quantity, Meta(description="Of all data, on a cluster.")] | None = None
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
        SpecRule(
            "two roles have one name",
            "self.roles.all(a, self.roles.exists_one(b, a.name == b.name))",
            lambda spec: len({role.name for role in spec.roles}) == len(spec.roles),
        ),
        SpecRule(
            "two of data have one name",
            "self.data.all(a, self.data.exists_one(b, a.name == b.name))",
            lambda spec: len({each.name for each in spec.data}) == len(spec.data),
        ),
        SpecRule(
            "roles are more than 1000 processes",
            "self.roles.map(role, role.replicas).sum() <= 1000",
            lambda spec: sum(role.replicas for role in spec.roles) <= 1000,
        ),
    )
    change_rules: ClassVar[tuple[ChangeRule, ...]] = tuple(
        fixed(field) for field in ("program", "workers", "roles", "data", "publish")
    )

    def every_role(self) -> tuple[Role, ...]:
        """The roles of a distributed program; none for a single process."""
        return self.roles or ((Role(name="worker", replicas=self.workers),) if self.workers > 1 else ())


PinnedData = Annotated[dict[str, Annotated[str, Meta(max_length=512)]], Meta(max_length=32)]
Metrics = Annotated[dict[str, float], Meta(max_length=64)]


class TrainingStatus(Wire, frozen=True):
    start_time: Time | None = None
    completion_time: Time | None = None
    data: PinnedData = {}
    """The digest of each of the data, by name."""
    attempts: int = 0
    failures: Annotated[tuple[FailedAttempt, ...], Meta(max_length=10)] = ()
    model: Annotated[str, Meta(max_length=512)] = ""
    """The version that was published, by its number or digest."""
    digest: Annotated[str, Meta(max_length=80)] = ""
    metrics: Metrics = {}
    conditions: Conditions = ()


TRAINING = ResourceKind(
    "Training",
    "trainings",
    TrainingSpec,
    TrainingStatus,
    "A program that makes a model, and publishes it.",
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
