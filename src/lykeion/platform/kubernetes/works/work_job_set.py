"""Work with several roles as a JobSet (https://jobset.sigs.k8s.io): each process is a Job of one pod. Pure.

A JobSet gives each process its number among all, and is admitted by Kueue as a whole. The next attempt of all is a
new JobSet, as that of one role is a new Job. The Work's own Job never starts: it holds the spec and the record.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from lykeion.control import Resource
from lykeion.platform.kubernetes.objects import JOB_SETS, ClusterFacts, KubeObject, object_of, parts
from lykeion.platform.kubernetes.pods import QUEUE_LABEL, queue_of
from lykeion.platform.policies.attempts import environment_of, places_of
from lykeion.platform.resources.plain_kinds import Role, WorkSpec, WorkStatus

from .work_job import (
    OWN_INDEX,
    PEER_PORT,
    field_variable,
    has_job_set,
    job_of,
    objects_beside,
    peers_service,
    process_pod,
    starts_parked,
)
from .work_pods import GLOBAL_INDEX
from .work_record import WorkRecord
from .work_refusals import refusal

JOB_INDEX = "jobset.sigs.k8s.io/job-index"
LIMIT_ROLE_CHARACTERS = 12
"""Of a role's name in those of its pods, which have at most 63."""
_WorkResource = Resource[WorkSpec, WorkStatus]


def work_objects(work: _WorkResource, facts: ClusterFacts) -> tuple[KubeObject, ...]:
    """The Job first."""
    first = WorkRecord(succeeded=work.spec.done)
    starts = has_job_set(work.spec) and not refusal(work, facts) and not starts_parked(work.spec, first)
    return job_of(work, facts, first), *objects_beside(work, facts), *([job_set_of(work, facts)] if starts else [])


def job_set_of(work: _WorkResource, facts: ClusterFacts) -> KubeObject:
    queue = queue_of(work.spec.program)
    spec: dict[str, Any] = {
        "suspend": bool(queue),
        "failurePolicy": {"maxRestarts": 0},
        "network": {"enableDNSHostnames": True, "publishNotReadyAddresses": True, "subdomain": peers_service(work)},
        "replicatedJobs": list(_replicated_jobs(work, facts)),
    }
    made = object_of(JOB_SETS, work, work.metadata.name, spec=spec)
    if queue:
        made["metadata"]["labels"][QUEUE_LABEL] = queue
    return made


def run_of(job: KubeObject, others: Sequence[KubeObject]) -> KubeObject:
    """The Job, or the JobSet in its place as if it were a Job."""
    job_set = job_set_among(others)
    if job_set is None:
        return job
    metadata = {**job["metadata"], "uid": job_set["metadata"]["uid"]}
    conditions = [{**each, "type": _TYPES.get(each["type"], each["type"])} for each in _conditions(job_set)]
    return {**job, "metadata": metadata, "status": {"conditions": conditions}}


def job_set_among(others: Sequence[KubeObject]) -> KubeObject | None:
    return next((each for each in others if each["kind"] == JOB_SETS.kind), None)


_TYPES = {"Completed": "Complete"}


def _conditions(job_set: KubeObject) -> list[dict[str, Any]]:
    return [dict(each) for each in parts(job_set, "status", "conditions")]


def _replicated_jobs(work: _WorkResource, facts: ClusterFacts) -> Iterator[dict[str, Any]]:
    names = {role.name: _name(role, number) for number, role in enumerate(work.spec.roles)}
    place = f"{peers_service(work)}:{PEER_PORT}"
    addresses = [
        f"{work.metadata.name}-{names[name]}-{index}-0.{place}" for name, index in places_of(work.spec.roles)
    ]
    indexes = [field_variable("JOB_COMPLETION_INDEX", GLOBAL_INDEX), field_variable("LYKEION_ROLE_INDEX", JOB_INDEX)]
    for role in work.spec.roles:
        peers = environment_of(work.spec.roles, addresses, role.name, "$(LYKEION_ROLE_INDEX)", OWN_INDEX)
        del peers["LYKEION_ROLE_INDEX"]
        template = process_pod(work, facts, indexes, peers)
        del template["spec"]["subdomain"]
        job = {"parallelism": 1, "completions": 1, "backoffLimit": 0, "template": template}
        yield {"name": names[role.name], "replicas": role.replicas, "template": {"spec": job}}


def _name(role: Role, number: int) -> str:
    return role.name if len(role.name) <= LIMIT_ROLE_CHARACTERS else f"role-{number}"
