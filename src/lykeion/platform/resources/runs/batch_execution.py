"""BatchExecution: a program that runs once for each shard of its input."""

from typing import Annotated, ClassVar

from msgspec import Meta, structs

from lykeion.control import ChangeRule, Column, Conditions, Name, Resource, ResourceKind, SpecRule, Time, Wire
from lykeion.platform.resources.plain_kinds import MAX_INDEXES, FailedAttempt, IndexRanges, WorkSpec
from lykeion.platform.resources.programs import Argument, EnvironmentVariable, FailureRules, Program

from .artifacts import Inputs, Outputs, References, unique_names
from .lifetime import DeadlineSeconds, StartDeadlineSeconds, Suspend, TtlSeconds, fixed
from .schedule import Schedule


class Shards(Wire, frozen=True):
    """Into how many shards the input is split: by number, or as a list with one shard an item."""

    count: Annotated[int, Meta(ge=1, le=MAX_INDEXES, description="How many there are.")] | None = None
    items: (
        Annotated[
            tuple[Argument, ...],
            Meta(min_length=1, max_length=1000, description="One shard each; its item is `$LYKEION_SHARD`."),
        ]
        | None
    ) = None

    rules: ClassVar[tuple[SpecRule, ...]] = (
        SpecRule(
            "give either count or items",
            "has(self.count) != has(self.items)",
            lambda shards: (shards.count is None) != (shards.items is None),
        ),
    )

    @property
    def total(self) -> int:
        return self.count if self.count is not None else len(self.items or ())


class BatchExecutionSpec(Wire, frozen=True):
    """What to run, over which shards."""

    program: Annotated[Program, Meta(description="Run for each shard, which it knows by its environment.")]
    shards: Annotated[Shards, Meta(description="What the input is split into.")]
    parallelism: Annotated[int, Meta(ge=1, le=1000, description="How many shards run at a time.")] = 1
    inputs: Inputs = ()
    outputs: Outputs = ()
    retries: Annotated[int, Meta(ge=0, le=100, description="Of each shard, after its first attempt.")] = 3
    shard_time_limit_seconds: Annotated[int, Meta(ge=1, description="Of one attempt at a shard.")] | None = None
    on_failure: FailureRules = ()
    deadline_seconds: DeadlineSeconds | None = None
    start_deadline_seconds: StartDeadlineSeconds | None = None
    min_succeeded: (
        Annotated[int, Meta(ge=1, le=MAX_INDEXES, description="Shards that make it a success; by default all.")]
        | None
    ) = None
    suspend: Suspend = False
    retry_of: (
        Annotated[Name, Meta(description="Another that has finished: the shards that it has done are not run.")]
        | None
    ) = None
    ttl_seconds_after_finished: TtlSeconds | None = None
    schedule: (
        Annotated[Schedule, Meta(description="With one, it does not run itself: it creates others like it.")] | None
    ) = None

    rules: ClassVar[tuple[SpecRule, ...]] = (
        SpecRule(
            "minSucceeded is more than there are shards",
            "!has(self.minSucceeded) || self.minSucceeded <= "
            "(has(self.shards.count) ? self.shards.count : size(self.shards.items))",
            lambda spec: spec.min_succeeded is None or spec.min_succeeded <= spec.shards.total,
        ),
        SpecRule(
            "give schedule or retryOf",
            "!has(self.schedule) || !has(self.retryOf)",
            lambda spec: spec.schedule is None or spec.retry_of is None,
        ),
        unique_names("inputs"),
        unique_names("outputs"),
    )
    change_rules: ClassVar[tuple[ChangeRule, ...]] = tuple(
        fixed(field) for field in ("program", "shards", "inputs", "outputs")
    )


class BatchExecutionStatus(Wire, frozen=True):
    start_time: Time | None = None
    completion_time: Time | None = None
    total: int = 0
    active: IndexRanges = ""
    succeeded: IndexRanges = ""
    failed: IndexRanges = ""
    progress: Annotated[str, Meta(max_length=63)] = ""
    """For display: how many of all shards succeeded."""
    failures: Annotated[tuple[FailedAttempt, ...], Meta(max_length=10)] = ()
    taken: IndexRanges = ""
    """Shards that the retried batch has done."""
    taken_outputs: References = {}
    inputs: References = {}
    image: Annotated[str, Meta(max_length=512)] = ""
    """Of the program, by digest, if it was named by a tag."""
    outputs: References = {}
    last_schedule_time: Time | None = None
    next_schedule_time: Time | None = None
    runs: Annotated[tuple[Name, ...], Meta(max_length=100)] = ()
    """Of a schedule, those that have not finished."""
    conditions: Conditions = ()


BATCH_EXECUTION = ResourceKind(
    "BatchExecution",
    "batchexecutions",
    BatchExecutionSpec,
    BatchExecutionStatus,
    "A program that runs once for each shard of its input.",
    ("batch",),
    (
        Column("State", ".status.conditions[?(@.status=='True')].type"),
        Column("Succeeded", ".status.progress"),
        Column("Failed", ".status.failed"),
        Column("Active", ".status.active", wide=True),
        Column("Schedule", ".spec.schedule.cron", wide=True),
        Column("Age", ".metadata.creationTimestamp", "date"),
    ),
)
BatchExecution = Resource[BatchExecutionSpec, BatchExecutionStatus]


_ITEM = EnvironmentVariable(name="LYKEION_SHARD", value="$(LYKEION_VALUE)")


def for_each_item(program: Program, count: int) -> Program:
    """The program with the variables by which it knows its shard."""
    shard = (
        _ITEM,
        EnvironmentVariable(name="LYKEION_SHARD_INDEX", value="$(JOB_COMPLETION_INDEX)"),
        EnvironmentVariable(name="LYKEION_SHARD_COUNT", value=str(count)),
    )
    return structs.replace(program, env=(*shard, *program.env))


def is_for_each_item(program: Program) -> bool:
    return program.env[:1] == (_ITEM,)


def without_item(program: Program) -> Program:
    """Without the variable of its item, for places where that is not known before the program starts."""
    return structs.replace(program, env=program.env[1:]) if is_for_each_item(program) else program


def shard_text(work: WorkSpec, index: int) -> str:
    """What the file in ``$LYKEION_SHARD_FILE`` says: the item of the shard, or its index where there are no items."""
    return work.values[index] if work.values else str(index)
