"""Work: one program, run to completion once for each of a number of indexes, like Kubernetes' Indexed Job."""

from typing import Annotated

from msgspec import Meta

from lykeion.control import Column, Conditions, Name, Resource, ResourceKind, Time, Wire
from lykeion.platform.resources.programs import Argument, FailureRules, Program, VolumeMount

from .index_ranges import IndexRanges
from .used_retries import Used

MAX_INDEXES = 10_000


class Role(Wire, frozen=True):
    """The part of some processes of a distributed program, such as ``chief`` or ``worker``."""

    name: Annotated[Name, Meta(description="Such as `chief`, `worker`, `ps` or `evaluator`.")]
    replicas: Annotated[int, Meta(ge=1, le=1000, description="How many processes have it.")] = 1


Values = Annotated[tuple[Argument, ...], Meta(max_length=1000)]


class WorkSpec(Wire, frozen=True):
    program: Program
    completions: Annotated[int, Meta(ge=1, le=MAX_INDEXES)]
    values: Values = ()
    """The value of ``$LYKEION_VALUE``, by index; empty for indexes beyond the end."""
    parallelism: Annotated[int, Meta(ge=1, le=1000)] = 1
    roles: Annotated[tuple[Role, ...], Meta(max_length=16)] = ()
    """For a distributed program: all indexes run at the same time or none does, and know one another's addresses.

    Indexes are assigned in order. If one fails, all are stopped, and all start again as the next attempt.
    """
    done: IndexRanges = ""
    """Indexes that need not run, since earlier work completed them."""
    retries: Annotated[int, Meta(ge=0, le=100)] = 0
    """For each index, after its first attempt; with roles, of all together."""
    on_failure: FailureRules = ()
    mounts: Annotated[tuple[VolumeMount, ...], Meta(max_length=16)] = ()
    time_limit_seconds: Annotated[int, Meta(ge=1)] | None = None
    """For one attempt."""
    uses_registry: bool = False
    """A program of the platform's own, which gets the credentials of registries; those of users never do."""
    grace_period_seconds: Annotated[int, Meta(ge=0, le=3600)] = 30
    """Between SIGTERM and SIGKILL."""
    suspend: bool = False
    stop: bool = False
    """Start nothing more and stop what runs: the owner has finished."""


class FailedAttempt(Wire, frozen=True):
    """An attempt that failed. ``message`` ends with the last line that the program printed."""

    index: int
    attempt: int
    reason: Annotated[str, Meta(max_length=63)]
    message: Annotated[str, Meta(max_length=512)] = ""
    exit_code: int | None = None
    at: Time | None = None

    def words(self) -> str:
        how = f"exit code {self.exit_code}" if self.reason == "ExitCode" else self.reason
        return f"{how}: {self.message}" if self.message else how


class WorkStatus(Wire, frozen=True):
    attempts: int = 0
    """Those begun so far, of all indexes; with roles, of all together."""
    active: IndexRanges = ""
    succeeded: IndexRanges = ""
    failed: IndexRanges = ""
    """Indexes without any retries left."""
    used: Used = ()
    """The failures that count of indexes that have not succeeded; with roles, of all together."""
    failures: Annotated[tuple[FailedAttempt, ...], Meta(max_length=10)] = ()
    """The latest failures."""
    result: Annotated[str, Meta(max_length=4096)] = ""
    """What the program of index 0 wrote to the file ``$LYKEION_RESULT`` when it succeeded; not trusted."""
    conditions: Conditions = ()


WORK = ResourceKind(
    "Work",
    "works",
    WorkSpec,
    WorkStatus,
    "A program that runs to completion for each of a number of indexes.",
    columns=(Column("Active", ".status.active"), Column("Succeeded", ".status.succeeded")),
)
Work = Resource[WorkSpec, WorkStatus]
