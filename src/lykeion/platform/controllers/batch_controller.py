"""BatchExecution: its shards run as one Work; it ends with the Work, at its deadline, or if too many have failed."""

from datetime import datetime
from typing import Literal

from msgspec import structs

from lykeion.control import Decision, Key, Observed, ResourceController, child_name, condition_of
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
from lykeion.platform.resources.batch_execution import BATCH_EXECUTION, BatchExecution, BatchExecutionStatus
from lykeion.platform.resources.index_ranges import from_ranges
from lykeion.platform.resources.program import EnvironmentVariable
from lykeion.platform.resources.work import WORK, Work, WorkSpec


def reconcile_batch_execution(batch: BatchExecution, observed: Observed, now: datetime) -> Decision:
    if has_finished(batch.status.conditions):
        return after_end(batch, now)
    status: BatchExecutionStatus = structs.replace(started(batch.status, now), total=batch.spec.shards.total)
    name = child_name(batch, "work")
    present: Work | None = observed.child(name)
    earlier = _earlier(batch)
    if present is None and earlier and earlier not in observed.read:
        return Decision(batch.status, reads=(earlier,))
    done = present.spec.done if present else ""
    if present is None and earlier:
        found: BatchExecution | None = observed.read[earlier]
        if wrong := _wrong_earlier(batch, found):
            return finish(batch, status, (), now, "Failed", "RetryOf", wrong)
        done = found.status.succeeded if found else ""
    work = _work(batch, name, done)
    status = _followed(batch, status, present, now)
    if end := _end(batch, status, now):
        return finish(batch, status, (work,), now, *end)
    limit_s, start = batch.spec.deadline_seconds, status.start_time or now
    again_s = None if limit_s is None else left_s(start, limit_s, now)
    message = f"{status.progress or status.total} shards, {batch.spec.parallelism} at a time"
    return Decision(status, (work,), progress_events(batch, status, message), requeue_after_s=again_s)


BATCH_EXECUTIONS = ResourceController(BATCH_EXECUTION, (WORK,), reconcile_batch_execution)


def _earlier(batch: BatchExecution) -> Key | None:
    retry_of = batch.spec.retry_of
    return Key(BATCH_EXECUTION.name, batch.metadata.namespace, retry_of) if retry_of else None


def _wrong_earlier(batch: BatchExecution, earlier: BatchExecution | None) -> str:
    """Why the shards of the earlier batch cannot be used, or an empty string."""
    name = batch.spec.retry_of
    if earlier is None:
        return f"retryOf names {name}, which is not there"
    if not has_finished(earlier.status.conditions):
        return f"retryOf names {name}, which has not finished"
    if earlier.spec.shards != batch.spec.shards:
        return f"retryOf names {name}, which has other shards"
    return ""


def _work(batch: BatchExecution, name: str, done: str) -> Work:
    spec = batch.spec
    shard = (
        EnvironmentVariable(name="LYKEION_SHARD", value="$(LYKEION_VALUE)"),
        EnvironmentVariable(name="LYKEION_SHARD_INDEX", value="$(JOB_COMPLETION_INDEX)"),
        EnvironmentVariable(name="LYKEION_SHARD_COUNT", value=str(spec.shards.total)),
    )
    work = WorkSpec(
        program=structs.replace(spec.program, env=(*shard, *spec.program.env)),
        completions=spec.shards.total,
        values=spec.shards.items or (),
        parallelism=spec.parallelism,
        done=done,
        retries=spec.retries,
        time_limit_seconds=spec.shard_time_limit_seconds,
        suspend=spec.suspend,
    )
    return WORK.new(name, work, namespace=batch.metadata.namespace, owner=batch)


def _followed(
    batch: BatchExecution, status: BatchExecutionStatus, work: Work | None, now: datetime
) -> BatchExecutionStatus:
    """The status, updated from what the work reports."""
    if work is not None:
        done = len(from_ranges(work.status.succeeded, status.total))
        status = structs.replace(
            status,
            active=work.status.active,
            succeeded=work.status.succeeded,
            failed=work.status.failed,
            failures=work.status.failures,
            progress=f"{done}/{status.total}",
        )
    status = with_progress(batch, status, bool(status.active), now)
    short = condition_of(work.status.conditions, "Unschedulable") if work else None
    return with_conditions(batch, status, now, short) if short else status


def _end(
    batch: BatchExecution, status: BatchExecutionStatus, now: datetime
) -> tuple[Literal["Complete", "Failed"], str, str] | None:
    """The condition, reason and message with which it ends now, or None."""
    total, spec = status.total, batch.spec
    needed = spec.min_succeeded or total
    succeeded, failed = len(from_ranges(status.succeeded, total)), len(from_ranges(status.failed, total))
    if total - failed < needed:
        return "Failed", "ShardsFailed", _failed_message(status)
    if succeeded + failed == total:
        return "Complete", "ShardsSucceeded", f"{succeeded} of {total}"
    if spec.deadline_seconds is not None and not left_s(status.start_time or now, spec.deadline_seconds, now):
        return "Failed", "DeadlineExceeded", f"{succeeded} of {total} shards succeeded in {spec.deadline_seconds} s"
    return None


def _failed_message(status: BatchExecutionStatus) -> str:
    last = status.failures[-1:]
    cause = f"; shard {last[0].index}: {last[0].words()}" if last else ""
    return f"shards {status.failed[:200]} failed{cause}"
