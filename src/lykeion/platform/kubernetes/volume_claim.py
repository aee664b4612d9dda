"""Volume as a view of a PersistentVolumeClaim. Pure."""

from collections.abc import Sequence
from typing import Any

from lykeion.control import AnyResource, Condition, Resource
from lykeion.platform.resources.programs import VOLUME, VolumeSpec, VolumeStatus, quantity

from .objects import (
    VOLUME_CLAIMS,
    ClusterFacts,
    KubeObject,
    ObjectChange,
    ObjectSource,
    Translation,
    object_of,
    read_view,
    text,
    written_annotations,
)
from .works import time_of

DEFAULT_SIZE = "10Gi"
"""Of volumes for which no size is asked, such as those of inputs and outputs."""


def claim_objects(volume: Resource[VolumeSpec, VolumeStatus], facts: ClusterFacts) -> tuple[KubeObject, ...]:
    storage = facts.profile.storage
    spec: dict[str, Any] = {
        "accessModes": ["ReadWriteMany" if storage.shared else "ReadWriteOnce"],
        "resources": {"requests": {"storage": str(volume.spec.size or DEFAULT_SIZE)}},
        **({"storageClassName": storage.class_name} if storage.class_name else {}),
    }
    return (object_of(VOLUME_CLAIMS, volume, volume.metadata.name, written_annotations(volume), spec=spec),)


def volume_of(claim: KubeObject, others: Sequence[KubeObject]) -> AnyResource:
    return read_view(VOLUME, claim, others, VolumeStatus(conditions=(_ready(claim),)))


def claim_changes(there: Sequence[KubeObject], wanted: AnyResource, facts: ClusterFacts) -> tuple[ObjectChange, ...]:
    """A claim can only grow, and only of some classes: the API server says so."""
    (made,), claim = claim_objects(wanted, facts), there[0]
    metadata = {"name": made["metadata"]["name"], "uid": claim["metadata"]["uid"]}
    change: KubeObject = {
        "apiVersion": made["apiVersion"],
        "kind": made["kind"],
        "metadata": {**metadata, "annotations": made["metadata"]["annotations"]},
    }
    if _bytes(made) > _bytes(claim):
        change["spec"] = {"resources": made["spec"]["resources"]}
    return (ObjectChange("merge", change),)


def _bytes(claim: KubeObject) -> float:
    return quantity(text(claim, "spec", "resources", "requests", "storage"))


def _ready(claim: KubeObject) -> Condition:
    phase = text(claim, "status", "phase") or "Pending"
    at = time_of(text(claim, "metadata", "creationTimestamp"))
    messages = {
        "Bound": "",
        "Pending": "it is bound to a disk when a program uses it",
        "Lost": "its disk no longer exists",
    }
    truth = "True" if phase == "Bound" else "False"
    return Condition(
        type="Ready", status=truth, reason=phase[:63], message=messages.get(phase, ""), last_transition_time=at
    )


VOLUMES = Translation(VOLUME, (ObjectSource(VOLUME_CLAIMS),), claim_objects, volume_of, claim_changes)
