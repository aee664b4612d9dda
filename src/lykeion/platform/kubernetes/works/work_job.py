"""Work as an Indexed Job: the objects of which it is made. Pure.

Index i of the Job is index i of the Work. What is done already is written into the Job's status before it starts, so
that a rerun of failed shards is a Job in which the others are complete. A Job is made suspended ("parked") where
something must happen before it starts; its annotation then says that the Work is suspended, so that the Work's
controller, which wants it to run, applies it again.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from msgspec import structs

from lykeion.control import Resource
from lykeion.platform.kubernetes.objects import (
    CONFIG_MAPS,
    JOBS,
    KIND_LABEL,
    NAME_LABEL,
    SERVICES,
    ClusterFacts,
    KubeObject,
    object_of,
    our_labels,
    text,
    written_annotations,
)
from lykeion.platform.kubernetes.pods import (
    QUEUE_LABEL,
    RESULT_PATH,
    PodNeeds,
    literal,
    pod_failure_policy,
    pod_template,
    queue_of,
    registry_account,
)
from lykeion.platform.policies.attempts import environment_of
from lykeion.platform.resources.plain_kinds import MAX_INDEXES, WorkSpec, WorkStatus, from_ranges, to_ranges
from lykeion.platform.resources.programs import Program
from lykeion.platform.resources.runs import is_for_each_item, without_item

from .work_pods import INDEX
from .work_record import WorkRecord
from .work_refusals import at_once, refusal, without_effect
from .work_retries import limit_left
from .work_status import IGNORED, REFUSED

SHARD_PATH = "/lykeion/shard"
PEER_PORT = 29500
"""Where each of several processes that know one another may listen: that of torch.distributed."""
_WorkResource = Resource[WorkSpec, WorkStatus]


def job_of(work: _WorkResource, facts: ClusterFacts, record: WorkRecord) -> KubeObject:
    """The Job of a Work of which earlier Jobs have done what ``record`` says, which has to be written first."""
    refused = refusal(work, facts)
    parked = bool(refused or starts_parked(work.spec, record))
    body, queue = (
        _job_spec(work, facts, limit_left(work.spec, record)),
        "" if has_job_set(work.spec) else queue_of(work.spec.program),
    )
    made = object_of(
        JOBS,
        work,
        work.metadata.name,
        {**_annotations(work, facts, refused=refused, parked=parked), **record.annotation()},
        spec={**body, "suspend": parked or bool(queue) or has_job_set(work.spec)},
    )
    if queue and not parked:
        made["metadata"]["labels"][QUEUE_LABEL] = queue
    return made


def has_job_set(spec: WorkSpec) -> bool:
    """Whether the pods are those of a JobSet: the Job then never starts, and holds what is known of the Work."""
    return len(spec.roles) > 1


def starts_parked(spec: WorkSpec, record: WorkRecord) -> bool:
    return bool(spec.suspend or spec.stop or record.succeeded or record.failed)


def prefilled(job: KubeObject, work: _WorkResource, record: WorkRecord) -> KubeObject | None:
    """What is to be written to the status of a parked Job before it starts: the indexes that have ended."""
    count, recorded = work.spec.completions, (record.succeeded, record.failed)
    known = [from_ranges(text(job, "status", name), count) for name in ("completedIndexes", "failedIndexes")]
    done, failed = (from_ranges(each, count) for each in recorded)
    if work.spec.roles or (done <= known[0] and failed <= known[1]):
        return None
    done, failed = done | known[0], failed | known[1]
    status = {"completedIndexes": to_ranges(done), "succeeded": len(done), "failedIndexes": to_ranges(failed)}
    return {**head_of(job), "status": status}


def with_failed(job: KubeObject, indexes: Collection[int]) -> KubeObject:
    """What is to be written to the status of a Job so that it does not try these indexes again."""
    known = from_ranges(text(job, "status", "failedIndexes"), MAX_INDEXES)
    return {**head_of(job), "status": {"failedIndexes": to_ranges(known.union(indexes))}}


def head_of(job: KubeObject) -> KubeObject:
    """Names this very object."""
    metadata = {"name": job["metadata"]["name"], "uid": job["metadata"]["uid"]}
    return {"apiVersion": job["apiVersion"], "kind": job["kind"], "metadata": metadata}


def _annotations(work: _WorkResource, facts: ClusterFacts, *, refused: str, parked: bool) -> dict[str, str]:
    """What the Work is shown as: suspended while it is parked, unless it is refused, which no write changes."""
    ignored = without_effect(work.spec)
    shown = structs.replace(work.spec, suspend=True) if parked and not refused else work.spec
    return {
        **written_annotations(Resource(work.kind, work.metadata, shown, work.status)),
        **({REFUSED: refused} if refused else {}),
        **({IGNORED: ignored} if ignored else {}),
    }


def _job_spec(work: _WorkResource, facts: ClusterFacts, limit: int) -> dict[str, Any]:
    spec = work.spec
    template = process_pod(work, facts, [_index_variable(INDEX)], _peer_variables(work))
    limits: dict[str, Any] = {
        "backoffLimitPerIndex": limit,
        "podFailurePolicy": pod_failure_policy(spec.on_failure),
    }
    return {
        "completionMode": "Indexed",
        "completions": spec.completions,
        "parallelism": at_once(spec),
        **({"backoffLimit": 0} if spec.roles else limits),
        "template": template,
    }


def process_pod(
    work: _WorkResource, facts: ClusterFacts, indexes: Sequence[dict[str, Any]], peers: Mapping[str, str]
) -> dict[str, Any]:
    """The template of pods; ``indexes`` are variables that ``peers`` may refer to."""
    spec = work.spec
    template = pod_template(work, _program(spec), _needs(work, indexes, peers), facts)
    template["spec"] |= {"restartPolicy": "Never", "terminationGracePeriodSeconds": spec.grace_period_seconds}
    if spec.time_limit_seconds is not None:
        template["spec"]["activeDeadlineSeconds"] = spec.time_limit_seconds
    if spec.roles:
        template["spec"]["subdomain"] = peers_service(work)
    return template


def field_variable(name: str, annotated: str) -> dict[str, Any]:
    """A variable with the value of one of the pod's annotations."""
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": f"metadata.annotations['{annotated}']"}}}


def _index_variable(annotated: str) -> dict[str, Any]:
    return field_variable("JOB_COMPLETION_INDEX", annotated)


def _program(spec: WorkSpec) -> Program:
    return without_item(spec.program) if spec.values else spec.program


def _needs(work: _WorkResource, indexes: Sequence[dict[str, Any]], peers: Mapping[str, str]) -> PodNeeds:
    spec, shard = work.spec, list(_shard_volume(work))
    env = [*indexes, literal("LYKEION_RESULT", RESULT_PATH)]
    env += [{"name": name, "value": value} for name, value in peers.items()]
    env += [{"name": "LYKEION_VALUE", "value": ""}] if shard and not spec.values else []
    env += [literal("LYKEION_SHARD_FILE", SHARD_PATH)] if shard else []
    return PodNeeds(
        env=env,
        mounts=spec.mounts,
        volumes=[volume for volume, _ in shard],
        volume_mounts=[mount for _, mount in shard],
        uses_registry=spec.uses_registry,
    )


_INDEX_FIELD = f"metadata.annotations['{INDEX}']"
OWN_INDEX = "$(JOB_COMPLETION_INDEX)"


def _shard_volume(work: _WorkResource) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """The file that names the shard: the index from the pod itself, or the item from a ConfigMap."""
    if not is_for_each_item(work.spec.program):
        return
    mount = {"name": "shard", "mountPath": SHARD_PATH, "readOnly": True}
    if work.spec.values:
        volume: dict[str, Any] = {"configMap": {"name": _items(work)}}
        yield {"name": "shard", **volume}, {**mount, "subPathExpr": OWN_INDEX}
    else:
        volume = {"downwardAPI": {"items": [{"path": "shard", "fieldRef": {"fieldPath": _INDEX_FIELD}}]}}
        yield {"name": "shard", **volume}, {**mount, "subPath": "shard"}


def _peer_variables(work: _WorkResource) -> dict[str, str]:
    """Of programs with one role, in which the place of a process is its index."""
    spec, name = work.spec, work.metadata.name
    if len(spec.roles) != 1:
        return {}
    addresses = [f"{name}-{index}.{peers_service(work)}:{PEER_PORT}" for index in range(spec.completions)]
    return environment_of(spec.roles, addresses, spec.roles[0].name, OWN_INDEX, OWN_INDEX)


def objects_beside(work: _WorkResource, facts: ClusterFacts) -> Iterator[KubeObject]:
    """The items of shards, the names of processes that know one another, and the account of our own programs."""
    if work.spec.uses_registry:
        yield registry_account(work.metadata.namespace, facts)
    if work.spec.values and is_for_each_item(work.spec.program):
        items = {str(index): value for index, value in enumerate(work.spec.values)}
        yield object_of(CONFIG_MAPS, work, _items(work), immutable=True, data=items)
    if len(work.spec.roles) == 1:
        labels = our_labels(work)
        selector = {name: labels[name] for name in (KIND_LABEL, NAME_LABEL)}
        port = {"name": "peers", "port": PEER_PORT}
        body = {"clusterIP": "None", "publishNotReadyAddresses": True, "selector": selector, "ports": [port]}
        yield object_of(SERVICES, work, peers_service(work), spec=body)


def _items(work: _WorkResource) -> str:
    return f"{work.metadata.name}-items"


def peers_service(work: _WorkResource) -> str:
    """The name of the Service: one that begins with a letter."""
    return f"peers-{work.metadata.name}"[:63].rstrip("-")
