"""Work as a view of a Job and its pods."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from msgspec import structs

from lykeion.control import AnyResource, Resource
from lykeion.platform.kubernetes.objects import (
    EVENTS,
    JOB_SETS,
    JOBS,
    PODS,
    ClusterFacts,
    KubeObject,
    ObjectChange,
    ObjectSource,
    Translation,
    annotation,
    holds,
    incomplete,
    part,
    pods_among,
    read_spec,
    read_view,
    text,
    written_annotations,
)
from lykeion.platform.kubernetes.pods import QUEUE_LABEL, UNMOUNTED, queue_of
from lykeion.platform.resources.plain_kinds import WORK, WorkSpec, WorkStatus

from .work_job import has_job_set, head_of, prefilled, with_failed
from .work_job_set import job_set_among, job_set_of, run_of, work_objects
from .work_pods import has_ended, owned_by
from .work_record import read_record
from .work_refusals import at_once, refusal
from .work_retries import forgets_failures, is_taken_back, retries_in
from .work_status import (
    IGNORED,
    REFUSED,
    awaits_verdict,
    is_over,
    is_recorded,
    next_attempt_due,
    record_now,
    record_of_stopped,
    work_status,
)
from .work_succession import keeper_among, replacement, succeeding

_WorkResource = Resource[WorkSpec, WorkStatus]


def work_of(job: KubeObject, others: Sequence[KubeObject]) -> AnyResource:
    """The Work. One whose next attempt is due is shown suspended, and one that was refused, or whose Job has
    forgotten failures, incomplete: so its controller applies it again.
    """
    spec: WorkSpec = read_spec(WORK, job)
    pods, events = pods_among(others), [each for each in others if each["kind"] == EVENTS.kind]
    run = run_of(job, others)
    read = read_view(WORK, job, others, work_status(spec, run, pods, events))
    if annotation(job, REFUSED):
        return incomplete(read, "Program")
    if not is_over(run) and forgets_failures(spec, run, owned_by(pods, run)):
        return incomplete(read, JOBS.kind)
    return replace(read, spec=structs.replace(spec, suspend=True)) if next_attempt_due(spec, run, pods) else read


def work_changes(there: Sequence[KubeObject], wanted: AnyResource, facts: ClusterFacts) -> tuple[ObjectChange, ...]:
    """A Job is never applied again: few of its fields can change, and Kueue changes its template."""
    job, others = there[0], there[1:]
    known: WorkSpec = read_spec(WORK, job)
    if has_job_set(known) and not annotation(job, REFUSED):
        return tuple(_changes_of_job_set(job, others, wanted, known, facts))
    changes, keeper = tuple(_changes(job, others, wanted, known, facts)), keeper_among(others)
    if keeper and not any(each.verb == "delete" for each in changes):
        return (ObjectChange("delete", head_of(keeper)), *changes)
    return changes


def _changes_of_job_set(
    job: KubeObject, others: Sequence[KubeObject], wanted: _WorkResource, known: WorkSpec, facts: ClusterFacts
) -> Iterator[ObjectChange]:
    """The JobSet is deleted whenever it is not to run, after its deeds are recorded, and made again when its pods
    have ended.
    """
    pods, run, job_set = pods_among(others), run_of(job, others), job_set_among(others)
    due = next_attempt_due(known, run, pods)
    if is_over(run) and not due:
        yield _merge(job, wanted, known)
    elif job_set and wanted.spec.suspend and not is_recorded(job, job_set) and awaits_verdict(known, run, pods):
        return
    elif job_set and (is_recorded(job, job_set) or due or wanted.spec.suspend or wanted.spec.stop):
        parked = replace(wanted, spec=structs.replace(wanted.spec, suspend=True))
        record = record_now(known, run, pods) if due else record_of_stopped(known, run, pods)
        change = _merge(job, parked, known)
        record = structs.replace(record, run=job_set["metadata"]["uid"])
        change.document["metadata"]["annotations"] |= record.annotation()
        yield change
        yield ObjectChange("delete", head_of(job_set))
    elif known.suspend and job_set is None and not (wanted.spec.suspend or wanted.spec.stop):
        if all(map(has_ended, pods)):
            yield ObjectChange("create", job_set_of(wanted, facts))
            yield _merge(job, wanted, known)
    else:
        yield _merge(job, wanted, known)


def _changes(
    job: KubeObject, others: Sequence[KubeObject], wanted: _WorkResource, known: WorkSpec, facts: ClusterFacts
) -> Iterator[ObjectChange]:
    refused, pods = bool(annotation(job, REFUSED)), pods_among(others)
    own, over = owned_by(pods, job), is_over(job)
    follows = next_attempt_due(known, job, pods) or (not over and is_taken_back(known, job, own))
    if follows or (refused and not refusal(wanted, facts)):
        yield from replacement(job, others, wanted, facts, record_now(known, job, pods))
    elif refused:
        change = _merge(job, wanted, known)
        change.document["metadata"]["annotations"][REFUSED] = refusal(wanted, facts)
        if not holds(job, change.document):
            yield change
    elif over:
        yield _merge(job, wanted, known)
    elif wanted.spec.stop:
        yield _merge(job, wanted, known, {"suspend": True, "parallelism": 0})
    elif _resumes(job, own, wanted, known):
        yield from _resumed(job, pods, wanted, known)
    elif wanted.spec.suspend and not known.suspend and not queue_of(wanted.spec.program):
        yield _suspended(job, pods, wanted, known)
    elif wanted.spec.suspend or known.suspend:
        if not awaits_verdict(known, job, pods):
            yield from replacement(job, others, wanted, facts, record_now(wanted.spec, job, pods))
    else:
        if not known.roles and (failed := retries_in(known, job, own).overlooked):
            yield ObjectChange("merge", with_failed(job, failed), "status")
        yield _merge(job, wanted, known, {"parallelism": at_once(wanted.spec)})


def _resumes(job: KubeObject, own: Sequence[KubeObject], wanted: _WorkResource, known: WorkSpec) -> bool:
    """Whether a suspended Job goes on: it can as long as its limits are those that are left."""
    asked = known.suspend and not wanted.spec.suspend and not _fixed_differ(known, wanted.spec)
    return asked and (bool(known.roles) or not retries_in(known, job, own).retried)


def _suspended(job: KubeObject, pods: Sequence[KubeObject], wanted: _WorkResource, known: WorkSpec) -> ObjectChange:
    """What a Job stops when it is suspended counts neither as a failure nor as a success."""
    change = _merge(job, wanted, known, {"suspend": True})
    change.document["metadata"]["annotations"] |= record_of_stopped(known, job, pods).annotation()
    return change


def _resumed(
    job: KubeObject, pods: Sequence[KubeObject], wanted: _WorkResource, known: WorkSpec
) -> Iterator[ObjectChange]:
    """A suspended Job starts once none of the programs that were stopped runs any more."""
    if any(not has_ended(each) for each in pods):
        return
    if status := prefilled(job, wanted, read_record(job)):
        yield ObjectChange("merge", status, "status")
    queue = queue_of(wanted.spec.program)
    merge = _merge(job, wanted, known, {"parallelism": at_once(wanted.spec), **({} if queue else {"suspend": False})})
    if queue:
        merge.document["metadata"]["labels"] = {QUEUE_LABEL: queue}
    yield merge


_FIXED = ("retries", "on_failure", "time_limit_seconds", "grace_period_seconds")
"""Fields of a Work that a Job cannot change."""


def _encoded(name: str) -> str:
    """The name of a field as users write it."""
    return next(each.encode_name for each in structs.fields(WorkSpec) if each.name == name)


def _fixed_differ(known: WorkSpec, wanted: WorkSpec) -> list[str]:
    return [name for name in _FIXED if getattr(known, name) != getattr(wanted, name)]


def _merge(
    job: KubeObject, wanted: _WorkResource, known: WorkSpec, spec: Mapping[str, Any] | None = None
) -> ObjectChange:
    """Changes of the Job, and the wanted spec with what of it has no effect."""
    head, before = head_of(job), annotation(job, IGNORED)
    annotations = written_annotations(wanted)
    if differ := [_encoded(name) for name in _fixed_differ(known, wanted.spec)]:
        annotations[IGNORED] = ", ".join(dict.fromkeys([*filter(None, before.split(", ")), *differ]))
    head["metadata"]["annotations"] = annotations
    return ObjectChange("merge", {**head, **({"spec": spec} if spec else {})})


def _job_name(event: KubeObject) -> str:
    """Of the Job that an event is about, which is that of its Work."""
    regarding = part(event, "regarding")
    return text(regarding, "name") if regarding.get("kind") == JOBS.kind else ""


WORKS = Translation(
    WORK,
    (
        ObjectSource(JOBS),
        ObjectSource(PODS),
        ObjectSource(JOB_SETS, optional=True),
        ObjectSource(EVENTS, "reason=FailedCreate", name_of=_job_name, optional=True),
        ObjectSource(EVENTS, f"reason={UNMOUNTED}", name_of=_job_name, optional=True),
    ),
    work_objects,
    work_of,
    work_changes,
    succeeding=succeeding,
)
