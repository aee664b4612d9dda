"""The retries of the indexes of a Work, which outlive its Jobs. Pure.

A Job reads from the last pod of an index how often that has failed. It counts from 0 again when this pod is deleted,
as it is when the Job is suspended, by us or by a queue. So failures are counted here, in all pods that are there and
in what was noted of others. What runs after a suspension is another Job, with the retries that are left. A Job has
one limit for all of its indexes: that of the index with the fewest. For the others a further Job follows.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from msgspec import structs

from lykeion.platform.kubernetes.objects import KubeObject, part, text
from lykeion.platform.kubernetes.pods import action_in_job, queue_of
from lykeion.platform.resources.plain_kinds import WorkSpec, from_ranges, from_used, to_ranges

from .work_pods import failures_before, has_ended, has_failed, index_of
from .work_record import WorkRecord, read_record


@dataclass(frozen=True)
class JobRetries:
    """``here`` are the failures of each index in one Job, ``used`` those and the ones in the Jobs before it.

    This Job is done with the indexes ``given_up``. Those that are ``left`` have retries for another one. The Job does
    not know that it is done with those ``overlooked``. Those ``retried`` have failed, and the Job goes on with them.
    """

    here: Mapping[int, int]
    used: Mapping[int, int]
    given_up: frozenset[int]
    left: frozenset[int]
    overlooked: frozenset[int]
    retried: frozenset[int]


def retries_in(spec: WorkSpec, job: KubeObject, own: Sequence[KubeObject]) -> JobRetries:
    """``own`` are the pods of the Job."""
    record, count = read_record(job), spec.completions
    before, carried = from_used(record.used, count), _carried(spec, own)
    here = _most(from_used(record.seen, count), carried, _seen(spec, own))
    used = dict(Counter(before) + Counter(here))
    done, known = (from_ranges(text(job, "status", name), count) for name in ("completedIndexes", "failedIndexes"))
    limit = part(job, "spec").get("backoffLimitPerIndex", 0)
    beyond = {index for index, failures in here.items() if failures > limit} - done
    overlooked = {index for index in beyond - known if carried.get(index, 0) <= limit} - _busy(own)
    given_up = known | overlooked
    final = _ruled_out(spec, own) | from_ranges(record.failed, count)
    left = {index for index in beyond & given_up if used[index] <= spec.retries} - final
    retried = {index for index, failures in here.items() if failures} - done - known
    return JobRetries(here, used, *map(frozenset, (given_up, left, overlooked, retried)))


def is_taken_back(spec: WorkSpec, job: KubeObject, own: Sequence[KubeObject]) -> bool:
    """Whether its queue has suspended a Job that has failures, which it will not know when it goes on."""
    asked = not (spec.suspend or spec.stop or spec.roles) and queue_of(spec.program)
    return bool(asked and part(job, "spec").get("suspend") and retries_in(spec, job, own).retried)


def forgets_failures(spec: WorkSpec, job: KubeObject, own: Sequence[KubeObject]) -> bool:
    """Whether a Job that has not finished would try some index more often than it may."""
    if spec.suspend or spec.stop or spec.roles:
        return False
    return is_taken_back(spec, job, own) or bool(retries_in(spec, job, own).overlooked)


def limit_left(spec: WorkSpec, record: WorkRecord) -> int:
    """The back-off limit of each index of the next Job."""
    used = from_used(record.used, spec.completions)
    return min((spec.retries - used.get(index, 0) for index in _open(spec, record)), default=spec.retries)


def without_exhausted(spec: WorkSpec, record: WorkRecord) -> WorkRecord:
    """The record in which indexes that have no retries left have failed."""
    used, open_ = from_used(record.used, spec.completions), _open(spec, record)
    exhausted = {index for index in open_ if used.get(index, 0) > spec.retries}
    return structs.replace(record, failed=to_ranges(from_ranges(record.failed, spec.completions) | exhausted))


def _open(spec: WorkSpec, record: WorkRecord) -> set[int]:
    ended = (from_ranges(each, spec.completions) for each in (record.succeeded, record.failed))
    return set(range(spec.completions)).difference(*ended)


def _seen(spec: WorkSpec, own: Sequence[KubeObject]) -> Mapping[int, int]:
    """By the failed pods that are there, which stay when a Job is suspended."""
    return Counter(index for each in own if _counts(spec, each) and (index := index_of(each)) is not None)


def _carried(spec: WorkSpec, own: Sequence[KubeObject]) -> Mapping[int, int]:
    """As the Job counts: by the numbers in its pods, of which it deletes earlier ones."""
    numbers = [
        {index: failures_before(each) + _counts(spec, each)} for each in own if (index := index_of(each)) is not None
    ]
    return _most(*numbers)


def _counts(spec: WorkSpec, pod: KubeObject) -> bool:
    return has_failed(pod) and action_in_job(pod, spec.on_failure) != "Ignore"


def _most(*counts: Mapping[int, int]) -> dict[int, int]:
    most: dict[int, int] = {}
    for each in counts:
        for index, number in each.items():
            most[index] = max(most.get(index, 0), number)
    return most


def _busy(own: Sequence[KubeObject]) -> set[int | None]:
    return {index_of(each) for each in own if not has_ended(each)}


def _ruled_out(spec: WorkSpec, own: Sequence[KubeObject]) -> set[int | None]:
    return {index_of(each) for each in own if has_failed(each) and action_in_job(each, spec.on_failure) == "Fail"}
