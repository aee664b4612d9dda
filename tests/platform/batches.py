"""Work, BatchExecutions and ReplicaGroups to test with."""

from typing import Any

from lykeion.control import Resource
from lykeion.platform.resources.plain_kinds.replica_group import REPLICA_GROUP, ReplicaGroupSpec, ReplicaGroupStatus
from lykeion.platform.resources.plain_kinds.work import WORK, WorkSpec, WorkStatus
from lykeion.platform.resources.programs.program import Program
from lykeion.platform.resources.runs.batch_execution import (
    BATCH_EXECUTION,
    BatchExecutionSpec,
    BatchExecutionStatus,
    Shards,
)


def work(completions: int = 3, **spec: Any) -> Resource[WorkSpec, WorkStatus]:
    program = spec.pop("program", Program(command=("true",)))
    return WORK.new("work", WorkSpec(program=program, completions=completions, **spec))


def batch(shards: int = 3, **spec: Any) -> Resource[BatchExecutionSpec, BatchExecutionStatus]:
    program = spec.pop("program", Program(command=("true",)))
    return BATCH_EXECUTION.new("embed", BatchExecutionSpec(program=program, shards=Shards(count=shards), **spec))


def replica_group(replicas: int = 1, **spec: Any) -> Resource[ReplicaGroupSpec, ReplicaGroupStatus]:
    program = spec.pop("program", Program(command=("true",)))
    return REPLICA_GROUP.new("group", ReplicaGroupSpec(program=program, replicas=replicas, **spec))
