"""BatchExecution: its shards run as one Work; it ends with the Work, at its deadline, or if too many have failed.

With a schedule, it creates others instead.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, TypeAlias

from msgspec import structs

from lykeion.control import AnyResource, Decision, Key, Observed, ResourceController
from lykeion.platform.policies.artifacts import (
    ArtifactWork,
    advance,
    await_registry,
    look_up,
    pin_inputs,
    registry_unavailable,
    with_pinned_image,
)
from lykeion.platform.policies.lifecycle import (
    after_end,
    deadlines,
    decide_runs,
    finish,
    has_finished,
    progress_events,
    run_name,
    started,
    with_conditions,
    with_progress,
)
from lykeion.platform.resources.plain_kinds import WORK, Work, WorkSpec, from_ranges
from lykeion.platform.resources.programs import VOLUME
from lykeion.platform.resources.runs import (
    BATCH_EXECUTION,
    BatchExecution,
    BatchExecutionStatus,
    Schedule,
    for_each_item,
)

End: TypeAlias = tuple[Literal["Complete", "Failed"], str, str]
"""A condition, its reason and message."""


def reconcile_batch_execution(batch: BatchExecution, observed: Observed, now: datetime) -> Decision:
    if batch.spec.schedule:
        return _scheduled(batch, batch.spec.schedule, observed, now)
    if has_finished(batch.status.conditions):
        return after_end(batch, now)
    status: BatchExecutionStatus = structs.replace(started(batch.status, now), total=batch.spec.shards.total)
    if batch.status.start_time is None and (retry_of := batch.spec.retry_of):
        earlier = Key(BATCH_EXECUTION.name, batch.metadata.namespace, retry_of)
        if earlier not in observed.read:
            return Decision(batch.status, reads=(earlier,))
        found: BatchExecution | None = observed.read[earlier]
        if wrong := _wrong_earlier(batch, found):
            return finish(batch, status, (), now, "Failed", "RetryOf", wrong)
        assert found
        taken = found.status.succeeded if found.status.outputs or not batch.spec.outputs else ""
        status = structs.replace(status, taken=taken, taken_outputs=found.status.outputs)
    if decision := pin_inputs(batch, status, observed, now):
        return decision
    return _with_inputs(batch, status, observed, now)


BATCH_EXECUTIONS = ResourceController(BATCH_EXECUTION, (WORK, VOLUME, BATCH_EXECUTION), reconcile_batch_execution)


def _scheduled(batch: BatchExecution, schedule: Schedule, observed: Observed, now: datetime) -> Decision:
    def new_run(at: datetime) -> BatchExecution:
        spec = structs.replace(batch.spec, schedule=None, suspend=False)
        name, metadata = run_name(batch, at), batch.metadata
        return BATCH_EXECUTION.new(name, spec, namespace=metadata.namespace, labels=metadata.labels, owner=batch)

    runs = decide_runs(batch, schedule, new_run, observed.children, now)
    return Decision(runs.status, runs.children, runs.events, requeue_after_s=runs.again_s)


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


def _with_inputs(batch: BatchExecution, status: BatchExecutionStatus, observed: Observed, now: datetime) -> Decision:
    work = _work(batch, status)
    progress = advance(batch, work.before(), observed)
    program: Work | None = progress.present.get(work.program_part)
    children = (*work.volumes(), *progress.children)
    status = _followed(status, program)
    if progress.state == "Failed" and program is None:
        return finish(batch, status, children, now, "Failed", progress.reason, progress.message)
    limits = deadlines(batch, status, progress.begun, now)
    end = _end(batch, status)
    if end is None and limits.passed:
        message = progress.lacking or f"{status.progress or 'no'} shards succeeded {limits.message}"
        end = "Failed", limits.passed, message
    if end:
        return _ended(batch, status, work, children, end, observed, now)
    status = with_progress(batch, status, bool(status.active), now)
    status = with_conditions(batch, status, now, *progress.notices)
    message = f"{status.progress or status.total} shards, {batch.spec.parallelism} at a time"
    return Decision(status, children, progress_events(batch, status, message), requeue_after_s=limits.again_s)


def _work(batch: BatchExecution, status: BatchExecutionStatus) -> ArtifactWork:
    spec, metadata = batch.spec, batch.metadata
    work = WorkSpec(
        program=for_each_item(with_pinned_image(spec.program, status), spec.shards.total),
        completions=spec.shards.total,
        values=spec.shards.items or (),
        parallelism=spec.parallelism,
        done=status.taken,
        retries=spec.retries,
        on_failure=spec.on_failure,
        time_limit_seconds=spec.shard_time_limit_seconds,
        suspend=spec.suspend,
    )
    repository = f"batches/{metadata.namespace}/{metadata.name}"
    return ArtifactWork(batch, work, status.inputs, spec.outputs, repository, resumed=status.taken_outputs)


def _ended(
    batch: BatchExecution,
    status: BatchExecutionStatus,
    work: ArtifactWork,
    children: Sequence[AnyResource],
    end: End,
    observed: Observed,
    now: datetime,
) -> Decision:
    """The end, once the outputs of good shards are kept, so that a retry can add to them."""
    stopped = finish(batch, status, children, now, *end)
    if not batch.spec.outputs or not status.succeeded:
        return stopped
    limits = deadlines(batch, status, True, now)
    if limits.passed and end[0] == "Complete":
        end = (
            "Failed",
            limits.passed,
            f"{status.progress} shards succeeded, but their outputs are not kept {limits.message}",
        )
    children = stopped.children or ()
    if status.active:
        return Decision(with_progress(batch, status, True, now), tuple(children))
    stages = work.after() if end[0] == "Complete" else work.after()[:1]
    progress = advance(batch, stages, observed)
    children = (*children, *progress.children)
    if progress.state == "Failed":
        return finish(batch, status, children, now, "Failed", progress.reason, progress.message)
    if progress.state == "Running":
        status = with_progress(batch, status, progress.active, now)
        return Decision(status, children, requeue_after_s=limits.again_s)
    answers = look_up(work.kept(), observed)
    if answers.reads:
        return Decision(batch.status, children, reads=answers.reads)
    if answers.missing:
        return finish(batch, status, children, now, "Failed", "OutputsNotKept", answers.missing)
    if answers.unavailable and limits.passed:
        return finish(batch, status, children, now, "Failed", end[1], f"{end[2]}; {answers.unavailable}")
    if answers.unavailable:
        unavailable = registry_unavailable(answers.unavailable)
        return await_registry(batch, status, children, (unavailable,), now, begun=True)
    return finish(batch, structs.replace(status, outputs=dict(answers.references)), children, now, *end)


def _followed(status: BatchExecutionStatus, work: Work | None) -> BatchExecutionStatus:
    """The status, updated from what the work reports."""
    if work is None:
        return status
    done = len(from_ranges(work.status.succeeded, status.total))
    return structs.replace(
        status,
        active=work.status.active,
        succeeded=work.status.succeeded,
        failed=work.status.failed,
        failures=work.status.failures,
        progress=f"{done}/{status.total}",
    )


def _end(batch: BatchExecution, status: BatchExecutionStatus) -> End | None:
    """How it ends now, by its shards, or None."""
    total = status.total
    needed = batch.spec.min_succeeded or total
    succeeded, failed = len(from_ranges(status.succeeded, total)), len(from_ranges(status.failed, total))
    if total - failed < needed:
        return "Failed", "ShardsFailed", _failed_message(status)
    if succeeded + failed == total:
        return "Complete", "ShardsSucceeded", f"{succeeded} of {total}"
    return None


def _failed_message(status: BatchExecutionStatus) -> str:
    last = status.failures[-1:]
    cause = f"; shard {last[0].index}: {last[0].words()}" if last else ""
    return f"shards {status.failed[:200]} failed{cause}"
