"""The status of a Work from its Job and pods, as the supervisor of a machine reports it. Pure.

A Job can be replaced by another for the same Work: when it is suspended, for the next attempt of programs that run
all at once, and for indexes with more retries than it had. What was done before is in the new one's ``WorkRecord``.
"""

from collections.abc import Sequence

from msgspec import structs

from lykeion.control import GROUP, Condition, Conditions
from lykeion.platform.kubernetes.objects import KubeObject, annotation, text, true_condition
from lykeion.platform.kubernetes.pods import PodWait, action_of, first_wait, refused_pods
from lykeion.platform.resources.plain_kinds import (
    Used,
    WorkSpec,
    WorkStatus,
    from_ranges,
    from_used,
    to_ranges,
    to_used,
)
from lykeion.platform.resources.programs import Action

from .work_pods import (
    attempt_of,
    failed_pods,
    failure_of,
    has_ended,
    has_started,
    index_of,
    owned_by,
    result_of,
    runs,
    time_of,
)
from .work_record import WorkRecord, read_record
from .work_retries import retries_in

REFUSED = f"{GROUP}/refused"
"""Why the cluster cannot run a Work: its Job is suspended for ever."""
IGNORED = f"{GROUP}/ignored"
"""Fields of a Work's spec that have no effect on its Job."""
LIMIT_FAILURES = 10


def work_status(
    spec: WorkSpec, job: KubeObject, pods: Sequence[KubeObject], events: Sequence[KubeObject]
) -> WorkStatus:
    """``pods`` are all of the Work, also those of Jobs before this one; ``events`` those of the Job and the pods."""
    record = record_now(spec, job, pods)
    active = [each for each in pods if runs(each)]
    return WorkStatus(
        attempts=record.attempts,
        active=to_ranges(index for each in active if (index := index_of(each)) is not None),
        succeeded=record.succeeded,
        failed=record.failed,
        used=_used(spec, record),
        failures=record.failures,
        result=record.result,
        conditions=(*_end(spec, job, pods, record), _unschedulable(spec, job, pods, events), *_ignored(job)),
    )


def _used(spec: WorkSpec, record: WorkRecord) -> Used:
    if not spec.roles:
        return record.used
    return to_used({} if record.succeeded else dict.fromkeys(range(spec.completions), record.counted))


def record_now(spec: WorkSpec, job: KubeObject, pods: Sequence[KubeObject]) -> WorkRecord:
    """What this Job and those before it have done."""
    own = owned_by(pods, job)
    if is_recorded(job, job):
        return read_record(job)
    return _gang_record(spec, job, own) if spec.roles else _indexes_record(spec, job, own)


def is_recorded(job: KubeObject, run: KubeObject) -> bool:
    """Whether what a JobSet has done is in the record of its Work's Job already."""
    return read_record(job).run == run["metadata"]["uid"]


def record_of_stopped(spec: WorkSpec, job: KubeObject, pods: Sequence[KubeObject]) -> WorkRecord:
    """The record of a Job that is being suspended: with the attempts that end with it, which leave no pods."""
    before, own = read_record(job), owned_by(pods, job)
    if spec.roles:
        return structs.replace(before, attempts=record_now(spec, job, pods).attempts)
    seen = to_used(retries_in(spec, job, own).here)
    return structs.replace(before, attempts=before.attempts + sum(map(runs, own)), seen=seen)


def is_over(job: KubeObject) -> bool:
    """Whether the Job has finished."""
    return bool(true_condition(job, "Complete") or true_condition(job, "Failed"))


def next_attempt_due(spec: WorkSpec, job: KubeObject, pods: Sequence[KubeObject]) -> bool:
    """Whether a Job is over, but not its Work: another one follows."""
    return is_over(job) and not spec.stop and _is_open(spec, job, pods, record_now(spec, job, pods))


def awaits_verdict(spec: WorkSpec, job: KubeObject, pods: Sequence[KubeObject]) -> bool:
    """Whether one of programs that run all at once has failed, and their Job has not yet."""
    return bool(spec.roles) and not is_over(job) and bool(failed_pods(owned_by(pods, job)))


def _is_open(spec: WorkSpec, job: KubeObject, pods: Sequence[KubeObject], record: WorkRecord) -> bool:
    """Whether some indexes are tried again in another Job."""
    return not _is_whole(spec, record) if spec.roles else bool(retries_in(spec, job, owned_by(pods, job)).left)


def _indexes_record(spec: WorkSpec, job: KubeObject, pods: Sequence[KubeObject]) -> WorkRecord:
    before = read_record(job)
    numbers, retries = from_used(before.used, spec.completions), retries_in(spec, job, pods)
    failures = [
        failure_of(each, attempt_of(each) + numbers.get(index_of(each) or 0, 0)) for each in failed_pods(pods)
    ]
    done = from_ranges(text(job, "status", "completedIndexes"), spec.completions)
    earlier = from_ranges(before.succeeded, spec.completions)
    failed = (retries.given_up - retries.left) | from_ranges(before.failed, spec.completions)
    failures = (*before.failures, *failures)
    return WorkRecord(
        attempts=before.attempts + _attempts(pods, len(done - earlier)),
        used=to_used({index: number for index, number in retries.used.items() if index not in done | earlier}),
        succeeded=to_ranges(done | earlier),
        failed=to_ranges(failed - done - earlier),
        failures=failures[-LIMIT_FAILURES:],
        result=before.result or result_of(pods),
    )


def _is_whole(spec: WorkSpec, record: WorkRecord) -> bool:
    """Whether all indexes have ended."""
    ended = from_ranges(record.succeeded, spec.completions) | from_ranges(record.failed, spec.completions)
    return len(ended) == spec.completions


def _attempts(pods: Sequence[KubeObject], done: int) -> int:
    """Begun in one Job: by the pods that are there; at least one for each index that was done."""
    numbers: dict[int, int] = {}
    for each in pods:
        index, number = index_of(each), attempt_of(each) + int(has_started(each))
        if index is not None:
            numbers[index] = max(numbers.get(index, 0), number)
    return max(sum(numbers.values()), done)


def _gang_record(spec: WorkSpec, job: KubeObject, pods: Sequence[KubeObject]) -> WorkRecord:
    """An attempt has begun when all processes have."""
    before, every = read_record(job), to_ranges(range(spec.completions))
    started = {index_of(each) for each in pods if has_started(each)}
    begun = before.attempts + int(len(started) == spec.completions or any(map(has_ended, pods)))
    if true_condition(job, "Complete"):
        return structs.replace(before, attempts=begun, succeeded=every, result=result_of(pods))
    if not true_condition(job, "Failed"):
        return structs.replace(before, attempts=begun)
    first = next(iter(failed_pods(pods)), None)
    action: Action = action_of(first, spec.on_failure) if first else "Ignore"
    counted = before.counted + int(action != "Ignore")
    failures = (*before.failures, *([failure_of(first, before.attempts)] if first else ()))
    return WorkRecord(
        attempts=begun,
        counted=counted,
        failed=every if action == "Fail" or counted > spec.retries else "",
        failures=failures[-LIMIT_FAILURES:],
    )


def _end(spec: WorkSpec, job: KubeObject, pods: Sequence[KubeObject], record: WorkRecord) -> Conditions:
    found = true_condition(job, "Complete") or true_condition(job, "Failed")
    if not found or _is_open(spec, job, pods, record):
        return ()
    done = len(from_ranges(record.succeeded, spec.completions))
    message = f"{done} of {spec.completions}"
    at = time_of(text(found, "lastTransitionTime"))
    type_ = "Complete" if done == spec.completions else "Failed"
    return (Condition(type=type_, status="True", reason="Ended", message=message, last_transition_time=at),)


def _unschedulable(
    spec: WorkSpec, job: KubeObject, pods: Sequence[KubeObject], events: Sequence[KubeObject]
) -> Condition:
    """True only if nothing runs, as on a machine; of programs that run all at once, if one does not."""
    begun = not spec.roles and any(map(runs, pods))
    wait = None if begun or is_over(job) else _wait(job, [each for each in pods if not has_ended(each)], events)
    since = time_of((wait.since if wait else "") or text(job, "metadata", "creationTimestamp"))
    if wait is None:
        return Condition(type="Unschedulable", status="False", reason="Fits", last_transition_time=since)
    return Condition(
        type="Unschedulable", status="True", reason=wait.reason, message=wait.message, last_transition_time=since
    )


def _wait(job: KubeObject, pods: Sequence[KubeObject], events: Sequence[KubeObject]) -> PodWait | None:
    if refused := annotation(job, REFUSED):
        return PodWait("Unsupported", refused)
    return first_wait(pods, events) if pods else refused_pods(events)


def _ignored(job: KubeObject) -> Conditions:
    names = annotation(job, IGNORED)
    if not names:
        return ()
    at = time_of(text(job, "metadata", "creationTimestamp"))
    message = f"{names}: without effect on this cluster"
    return (Condition(type="Ignored", status="True", reason="OnACluster", message=message, last_transition_time=at),)
