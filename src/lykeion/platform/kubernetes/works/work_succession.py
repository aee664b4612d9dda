"""A Job that takes the place of another. Pure.

Both have the name of their Work, so one is deleted before the other is created. What was done until then is written
first into a Job of another name that never starts, and is read from there by whoever finds it instead of the Work's
Job: it is in some object at each moment, wherever an operator is killed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from hashlib import sha256

from msgspec import structs

from lykeion.control import GROUP, Resource
from lykeion.platform.kubernetes.objects import JOBS, ClusterFacts, KubeObject, ObjectChange, annotation, read_spec
from lykeion.platform.resources.plain_kinds import WORK, WorkSpec, WorkStatus

from .work_job import head_of, job_of
from .work_record import RECORD, WorkRecord, read_record
from .work_retries import without_exhausted

_WorkResource = Resource[WorkSpec, WorkStatus]
KEEPS = f"{GROUP}/keeps"
"""Of a Job that never starts: what it keeps."""
LIMIT_NAME_CHARACTERS = 46


def replacement(
    job: KubeObject, others: Sequence[KubeObject], wanted: _WorkResource, facts: ClusterFacts, record: WorkRecord
) -> Iterator[ObjectChange]:
    """Another Job in the place of ``job``, which does not start yet: Kueue would resume one that is suspended."""
    parked = _parked(wanted)
    successor = job_of(parked, facts, without_exhausted(wanted.spec, record))
    name, annotations = _keeper_name(wanted.metadata.name), {**successor["metadata"]["annotations"], KEEPS: "record"}
    if there := keeper_among(others):
        named = head_of(there)
        kept = {**named["metadata"], "annotations": {RECORD: None, **annotations}}
        yield ObjectChange("merge", {**named, "metadata": kept})
    else:
        made = {**successor["metadata"], "name": name, "annotations": annotations}
        spec = {**successor["spec"], "parallelism": 0}  # without pods also where Kueue gives each Job a queue
        yield ObjectChange("create", {**successor, "metadata": made, "spec": spec})
    yield ObjectChange("delete", head_of(job))
    yield ObjectChange("create", successor)
    yield ObjectChange("delete", {**successor, "metadata": {"name": name}})


def succeeding(work: _WorkResource, facts: ClusterFacts, others: Sequence[KubeObject]) -> KubeObject | None:
    """The Job of a Work whose last one was deleted to be replaced; None if that is not so."""
    keeper = keeper_among(others)
    if keeper is None or _same_program(read_spec(WORK, keeper)) != _same_program(work.spec):
        return None
    return job_of(_parked(work), facts, read_record(keeper))


def keeper_among(others: Sequence[KubeObject]) -> KubeObject | None:
    """The Job that keeps what was done while there may be no other."""
    return next((each for each in others if each["kind"] == JOBS.kind and annotation(each, KEEPS)), None)


def _keeper_name(work: str) -> str:
    return f"{work[:LIMIT_NAME_CHARACTERS]}-record-{sha256(work.encode()).hexdigest()[:8]}"


def _parked(work: _WorkResource) -> _WorkResource:
    return replace(work, spec=structs.replace(work.spec, suspend=True))


def _same_program(spec: WorkSpec) -> WorkSpec:
    """Without what may change from one moment to the next."""
    return structs.replace(spec, suspend=False, stop=False, parallelism=1)
