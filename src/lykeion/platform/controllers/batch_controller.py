"""BatchExecution: its shards run as one Work; it ends with the Work, at its deadline, or if too many have failed."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from msgspec import structs

from lykeion.control import (
    Condition,
    Decision,
    Event,
    Key,
    Observed,
    ResourceController,
    child_name,
    is_true,
    merged,
)
from lykeion.platform.policies.finished import has_finished, seconds_to_live
from lykeion.platform.resources.batch_execution import BATCH_EXECUTION, BatchExecution, BatchExecutionStatus
from lykeion.platform.resources.index_ranges import from_ranges
from lykeion.platform.resources.program import EnvironmentVariable
from lykeion.platform.resources.work import WORK, Work, WorkSpec


def reconcile_batch_execution(batch: BatchExecution, observed: Observed, now: datetime) -> Decision:
    status = batch.status
    if has_finished(status.conditions):
        left_s = seconds_to_live(status.completion_time, batch.spec.ttl_seconds_after_finished, now)
        return Decision(status, requeue_after_s=left_s, delete=left_s == 0)
    name = child_name(batch, "work")
    present: Work | None = observed.child(name)
    earlier = _earlier(batch)
    if present is None and earlier and earlier not in observed.read:
        return Decision(status, reads=(earlier,))
    done = present.spec.done if present else ""
    if present is None and earlier:
        found: BatchExecution | None = observed.read[earlier]
        if wrong := _wrong_earlier(batch, found):
            end = Condition(type="Failed", status="True", reason="RetryOf", message=wrong)
            return _finished(batch, None, status, now, end)
        done = found.status.succeeded if found else ""
    work = _work(batch, name, done)
    status = _followed(batch, status, present, now)
    if end := _end(batch, status, now):
        return _finished(batch, work, status, now, end)
    deadline_s = batch.spec.deadline_seconds
    left_s = None if deadline_s is None else _left_s(status, deadline_s, now)
    return Decision(status, (work,), _events(batch, status), requeue_after_s=left_s)


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
    total = batch.spec.shards.total
    status = structs.replace(status, start_time=status.start_time or now, total=total)
    if work is not None:
        done = len(from_ranges(work.status.succeeded, total))
        status = structs.replace(
            status,
            active=work.status.active,
            succeeded=work.status.succeeded,
            failed=work.status.failed,
            failures=work.status.failures,
            progress=f"{done}/{total}",
        )
    suspended = batch.spec.suspend and not status.active
    short = next((each for each in work.status.conditions if each.type == "Unschedulable"), None) if work else None
    return _with(
        batch,
        status,
        now,
        Condition(type="Suspended", status="True" if suspended else "False", reason="SpecSuspend"),
        Condition(type="Running", status="True" if status.active else "False", reason="Shards"),
        *((short,) if short else ()),
    )


def _end(batch: BatchExecution, status: BatchExecutionStatus, now: datetime) -> Condition | None:
    """The condition with which it ends now, or None."""
    total, spec = status.total, batch.spec
    needed = spec.min_succeeded or total
    succeeded, failed = len(from_ranges(status.succeeded, total)), len(from_ranges(status.failed, total))
    if total - failed < needed:
        return Condition(type="Failed", status="True", reason="ShardsFailed", message=_failed_message(status))
    if succeeded + failed == total:
        return Condition(type="Complete", status="True", reason="ShardsSucceeded", message=f"{succeeded} of {total}")
    if spec.deadline_seconds is not None and not _left_s(status, spec.deadline_seconds, now):
        message = f"{succeeded} of {total} shards succeeded in {spec.deadline_seconds} s"
        return Condition(type="Failed", status="True", reason="DeadlineExceeded", message=message)
    return None


def _failed_message(status: BatchExecutionStatus) -> str:
    last = status.failures[-1:]
    cause = f"; shard {last[0].index}: {last[0].words()}" if last else ""
    return f"shards {status.failed[:200]} failed{cause}"


def _finished(
    batch: BatchExecution, work: Work | None, status: BatchExecutionStatus, now: datetime, end: Condition
) -> Decision:
    """The final decision: running shards are stopped, and nothing more is created."""
    status = structs.replace(status, start_time=status.start_time or now, completion_time=now)
    status = _with(batch, status, now, Condition(type="Running", status="False", reason="Finished"), end)
    kind = "Normal" if end.type == "Complete" else "Warning"
    event = Event(kind, end.reason, end.message)
    children = (replace(work, spec=structs.replace(work.spec, stop=True)),) if work else ()
    return Decision(status, children, (event,))


def _with(
    batch: BatchExecution, status: BatchExecutionStatus, now: datetime, *conditions: Condition
) -> BatchExecutionStatus:
    changed = merged(status.conditions, now, *conditions, generation=batch.metadata.generation)
    return structs.replace(status, conditions=changed)


def _left_s(status: BatchExecutionStatus, deadline_s: int, now: datetime) -> float:
    start = status.start_time or now
    return max(0.0, (start + timedelta(seconds=deadline_s) - now).total_seconds())


def _events(batch: BatchExecution, status: BatchExecutionStatus) -> tuple[Event, ...]:
    before: Any = batch.status
    if before.start_time is None:
        return (Event("Normal", "Started", f"{status.total} shards, {batch.spec.parallelism} at a time"),)
    was, now_is = is_true(before.conditions, "Suspended"), is_true(status.conditions, "Suspended")
    if was != now_is:
        return (Event("Normal", "Suspended" if now_is else "Resumed", status.progress),)
    return ()
