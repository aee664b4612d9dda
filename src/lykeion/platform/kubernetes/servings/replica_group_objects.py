"""A ReplicaGroup as Kubernetes objects: a Deployment, its Service and disruption budget, and its autoscaler. Pure."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from msgspec import structs

from lykeion.control import AnyResource
from lykeion.platform.kubernetes.objects import (
    AUTOSCALERS,
    DEPLOYMENTS,
    DISRUPTION_BUDGETS,
    EVENTS,
    HEALTH_CHECKS,
    KIND_LABEL,
    NAME_LABEL,
    PODS,
    SERVICES,
    ClusterFacts,
    KubeObject,
    ObjectChange,
    ObjectSource,
    Translation,
    annotation,
    holds,
    object_of,
    read_spec,
    written_annotations,
)
from lykeion.platform.kubernetes.pods import UNMOUNTED, registry_account, unsupported_pod
from lykeion.platform.kubernetes.works import REFUSED
from lykeion.platform.resources.plain_kinds import REPLICA_GROUP, Autoscaling, ReplicaGroup, ReplicaGroupSpec

from .gateways import health_check, needs_checks
from .replica_group_status import replica_group_of
from .replica_pod import PORT_NAME, replica_pod

HTTP_PORT = 80


def group_labels(name: str) -> dict[str, str]:
    """Of the pods of a group."""
    return {KIND_LABEL: REPLICA_GROUP.name, NAME_LABEL: name}


def service_spec(selector: dict[str, str]) -> dict[str, Any]:
    return {
        "type": "ClusterIP",
        "selector": selector,
        "ports": [{"name": PORT_NAME, "protocol": "TCP", "port": HTTP_PORT, "targetPort": PORT_NAME}],
    }


def replica_group_objects(group: AnyResource, facts: ClusterFacts) -> tuple[KubeObject, ...]:
    account = [registry_account(group.metadata.namespace, facts)] if group.spec.artifacts else []
    return (_deployment(group, facts), *_beside(group, facts), *account)


def replica_group_changes(
    there: Sequence[KubeObject], wanted: AnyResource, facts: ClusterFacts
) -> tuple[ObjectChange, ...]:
    """What of a group may change: its number of replicas, and what scales it.

    ``replicas`` is never written while an autoscaler does, and never by server-side apply: a field that we stop
    applying would fall to its default of 1.
    """
    primary, found = there[0], {(each["kind"], each["metadata"]["name"]): each for each in there[1:]}
    changes: list[ObjectChange] = []
    beside = {(each["kind"], each["metadata"]["name"]): each for each in _beside(wanted, facts)}
    if (AUTOSCALERS.kind, wanted.metadata.name) not in beside:
        scalers = [each for (kind, _), each in found.items() if kind == AUTOSCALERS.kind]
        changes += [ObjectChange("delete", _named(each)) for each in scalers]
    if patch := _patch(primary, wanted, facts):
        changes.append(ObjectChange("merge", patch))
    for key, document in beside.items():
        if key not in found:
            changes.append(ObjectChange("create", document))
        elif not holds(found[key], document):
            changes.append(ObjectChange("apply", of_same_uid(document, found[key])))
    return tuple(changes)


REPLICA_GROUPS = Translation(
    REPLICA_GROUP,
    (
        *(ObjectSource(each) for each in (DEPLOYMENTS, PODS, SERVICES, DISRUPTION_BUDGETS, AUTOSCALERS)),
        ObjectSource(HEALTH_CHECKS, optional=True),
        ObjectSource(EVENTS, f"reason={UNMOUNTED}", optional=True),
    ),
    replica_group_objects,
    replica_group_of,
    replica_group_changes,
    is_kept=True,
)


def _deployment(group: ReplicaGroup, facts: ClusterFacts) -> KubeObject:
    return object_of(
        DEPLOYMENTS,
        group,
        group.metadata.name,
        _annotations(group, facts),
        spec={
            "replicas": 0 if unsupported_pod(group.spec.program, facts) else group.spec.replicas,
            "revisionHistoryLimit": 1,
            "selector": {"matchLabels": group_labels(group.metadata.name)},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": "25%"}},
            "template": replica_pod(group, facts),
        },
    )


def _annotations(group: ReplicaGroup, facts: ClusterFacts) -> dict[str, str]:
    """Without the number of replicas, which is the Deployment's own."""
    refused = unsupported_pod(group.spec.program, facts)
    written = written_annotations(replace(group, spec=structs.replace(group.spec, replicas=0)))
    return {**written, REFUSED: refused} if refused else written


def _beside(group: ReplicaGroup, facts: ClusterFacts) -> tuple[KubeObject, ...]:
    name, labels = group.metadata.name, group_labels(group.metadata.name)
    budget = {
        "maxUnavailable": 1,
        "selector": {"matchLabels": labels},
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
    }
    scaling, checked = group.spec.autoscaling, needs_checks(facts)
    return (
        object_of(SERVICES, group, name, spec=service_spec(labels)),
        object_of(DISRUPTION_BUDGETS, group, name, spec=budget),
        *((object_of(AUTOSCALERS, group, name, spec=_autoscaler(name, scaling)),) if scaling else ()),
        *((object_of(HEALTH_CHECKS, group, name, spec=health_check(name, group.spec.readiness)),) if checked else ()),
    )


def _autoscaler(name: str, scaling: Autoscaling) -> dict[str, Any]:
    target = {"type": "AverageValue", "averageValue": str(scaling.target_cpu)}
    return {
        "scaleTargetRef": {"apiVersion": DEPLOYMENTS.api_version, "kind": DEPLOYMENTS.kind, "name": name},
        "minReplicas": scaling.min_replicas,
        "maxReplicas": scaling.max_replicas,
        "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
        "behavior": {
            "scaleUp": {"stabilizationWindowSeconds": scaling.scale_up_stabilization_seconds},
            "scaleDown": {"stabilizationWindowSeconds": scaling.scale_down_stabilization_seconds},
        },
    }


def _patch(primary: KubeObject, wanted: ReplicaGroup, facts: ClusterFacts) -> KubeObject:
    """The merge patch of a Deployment; empty if nothing differs."""
    spec: dict[str, Any] = {}
    refused, was_refused = unsupported_pod(wanted.spec.program, facts), annotation(primary, REFUSED)
    if refused:
        named, annotations = _named(primary), {REFUSED: refused}
        known = was_refused in ("", refused)
        return {} if known else {**named, "metadata": {**named["metadata"], "annotations": annotations}}
    scaled = wanted.spec.autoscaling is not None and not was_refused
    if not scaled and primary["spec"]["replicas"] != wanted.spec.replicas:
        spec["replicas"] = wanted.spec.replicas
    if was_refused or _of_pods(read_spec(REPLICA_GROUP, primary)) != _of_pods(wanted.spec):
        spec["template"] = replica_pod(wanted, facts)
    annotations = {**_annotations(wanted, facts), **({REFUSED: None} if was_refused else {})}
    annotated = {} if holds(primary["metadata"].get("annotations"), annotations) else {"annotations": annotations}
    if not (spec or annotated):
        return {}
    named = _named(primary)
    return {**named, "metadata": {**named["metadata"], **annotated}, **({"spec": spec} if spec else {})}


def _of_pods(spec: ReplicaGroupSpec) -> ReplicaGroupSpec:
    return structs.replace(spec, replicas=0, autoscaling=None)


def _named(there: KubeObject) -> KubeObject:
    metadata = {"name": there["metadata"]["name"], "uid": there["metadata"]["uid"]}
    return {"apiVersion": there["apiVersion"], "kind": there["kind"], "metadata": metadata}


def of_same_uid(document: KubeObject, there: KubeObject) -> KubeObject:
    return {**document, "metadata": {**document["metadata"], "uid": there["metadata"]["uid"]}}
