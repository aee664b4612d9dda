"""The pod of a program: what Work and ReplicaGroup have in common on a cluster. Pure.

It holds to Kubernetes' Pod Security Standard "restricted":
https://kubernetes.io/docs/concepts/security/pod-security-standards/
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, cast

import msgspec

from lykeion.control import AnyResource
from lykeion.platform.kubernetes.objects import (
    KIND_LABEL,
    MANAGED_BY,
    MANAGER,
    NAME_LABEL,
    SERVICE_ACCOUNTS,
    ClusterFacts,
    KubeObject,
    our_labels,
)
from lykeion.platform.resources.programs import (
    EnvironmentVariable,
    PodTemplate,
    PodVolume,
    Program,
    Requests,
    VolumeMount,
)
from lykeion.platform.resources.settings import AcceleratorProfile, ClusterProfileSpec

from .volume_names import names_in_pod

CONTAINER = "program"
"""The name of the container that runs the program."""
DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
USER_ID = GROUP_ID = 65532
"""Of the operator's image. The group is that of volumes, too: programs under several users share files by it."""
VOLUMES_PATH = "/lykeion/volumes"
REGISTRY_PATH = "/lykeion/registry"
RESULT_PATH = "/dev/termination-log"
"""Where Kubernetes reads a container's termination message, at most 4096 bytes."""
_AZURE = "azure.workload.identity"


@dataclass(frozen=True)
class PodNeeds:
    """What a program's pod is given beside what the program asks for.

    ``env`` are variables that come before the program's own, as Kubernetes has them; ``mounts`` the platform's
    volumes; ``volumes`` and ``volume_mounts`` further ones, as Kubernetes has them. With ``uses_registry`` it is a
    program of ours, which gets the credentials of registries and the identity for them; those of users never do.
    """

    env: Sequence[Mapping[str, Any]] = ()
    mounts: Sequence[VolumeMount] = ()
    volumes: Sequence[Mapping[str, Any]] = ()
    volume_mounts: Sequence[Mapping[str, Any]] = ()
    uses_registry: bool = False
    container: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Further fields of the container, such as ``ports``."""


def queue_of(program: Program) -> str:
    """The queue of Kueue in which its Job waits; an empty string for none."""
    return (program.pod and program.pod.queue_name) or ""


def literal(name: str, value: str) -> dict[str, Any]:
    """A variable with a value in which nothing is replaced."""
    return {"name": name, "value": value.replace("$", "$$")}


def unsupported_pod(program: Program, facts: ClusterFacts) -> str:
    """Why no pod of this cluster can run the program; an empty string if one can."""
    asked = program.resources.accelerator
    if not (program.image or facts.image):
        return "the program has no image, and the operator's own is not known"
    if asked and accelerator_of(facts.profile, asked.type) is None:
        known = ", ".join(each.name for each in facts.profile.accelerators) or "none"
        return f"the cluster's profile has no accelerator {asked.type}; it has {known}"
    images = [each.name for each in (program.pod.volumes if program.pod else ()) if each.image]
    if images and not facts.image_volumes:
        major, minor = facts.version
        return (
            f"volume {images[0]} is an image, which the API server of this Kubernetes {major}.{minor} drops: it "
            "needs 1.35, or the feature gate ImageVolume; or put the files into a claim"
        )
    return ""


def accelerator_of(profile: ClusterProfileSpec, type_: str) -> AcceleratorProfile | None:
    """``a100`` is also found as a variant such as ``a100-sxm4-80gb``."""
    exact = (each for each in profile.accelerators if each.name == type_)
    variants = (each for each in profile.accelerators if each.name.startswith(f"{type_}-"))
    return next(chain(exact, variants), None)


def pod_template(resource: AnyResource, program: Program, needs: PodNeeds, facts: ClusterFacts) -> dict[str, Any]:
    """Metadata and spec of the pods of a resource: with our labels and one container.

    The program must not be one for which ``unsupported_pod`` has a reason.
    """
    pod = program.pod or PodTemplate()
    labels = {**pod.labels, **our_labels(resource), **_identity_labels(needs, facts)}
    return {
        "metadata": {"labels": labels, "annotations": {**pod.annotations, DEFAULT_CONTAINER: CONTAINER}},
        "spec": {
            **_identity(pod, needs, facts),
            **_placement(resource, program, pod, facts.profile),
            "enableServiceLinks": False,
            "securityContext": _pod_security(program, pod),
            "containers": [_container(program, pod, needs, facts)],
            "volumes": [*_volumes(program, pod, needs, facts), *needs.volumes],
        },
    }


def registry_account(namespace: str, facts: ClusterFacts) -> KubeObject:
    """The service account of all of our own programs in a namespace, which outlives each of them."""
    metadata = {"name": facts.registry_account, "namespace": namespace, "labels": {MANAGED_BY: MANAGER}}
    identity = {"annotations": dict(facts.profile.identity)} if facts.profile.identity else {}
    return {
        "apiVersion": SERVICE_ACCOUNTS.api_version,
        "kind": SERVICE_ACCOUNTS.kind,
        "metadata": {**metadata, **identity},
        "automountServiceAccountToken": False,
    }


def _container(program: Program, pod: PodTemplate, needs: PodNeeds, facts: ClusterFacts) -> dict[str, Any]:
    return {
        "name": CONTAINER,
        "image": program.image or facts.image,
        **({"command": list(program.command)} if program.command else {}),
        **({"args": list(program.args)} if program.args else {}),
        **({"workingDir": program.working_dir} if program.working_dir else {}),
        "env": [*_given(needs, facts), *needs.env, *(_variable(each) for each in program.env)],
        "resources": _resources(program.resources, facts.profile),
        "volumeMounts": [*_mounts(pod, needs, facts), *needs.volume_mounts],
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        **needs.container,
    }


def _given(needs: PodNeeds, facts: ClusterFacts) -> Iterable[dict[str, Any]]:
    """``HOME`` can be written to although the root is read-only; each volume's path is in its variable."""
    yield literal("HOME", "/tmp")  # noqa: S108
    if needs.uses_registry:
        yield literal("DOCKER_CONFIG", REGISTRY_PATH)
        if facts.profile.registry_prefix:
            yield literal("LYKEION_REGISTRY_PREFIX", facts.profile.registry_prefix)
        if facts.registries:
            yield literal("LYKEION_REGISTRIES", facts.registries)
    yield from (literal(each.variable, f"{VOLUMES_PATH}/{each.volume}") for each in needs.mounts)


def _variable(variable: EnvironmentVariable) -> dict[str, Any]:
    source = variable.value_from
    if source is None:
        return {"name": variable.name, "value": variable.value}
    return {"name": variable.name, "valueFrom": _set_fields(source)}


def _set_fields(source: Any) -> dict[str, Any]:
    """As JSON types, without what is not set or has its default."""
    values: dict[str, Any] = json.loads(msgspec.json.encode(source))
    return _without_empty(values)


def _without_empty(values: dict[str, Any]) -> dict[str, Any]:
    inner = {
        name: _without_empty(cast(dict[str, Any], each)) for name, each in values.items() if isinstance(each, dict)
    }
    kept = {**values, **inner}
    return {name: value for name, value in kept.items() if value or type(value) is int}


def _resources(needs: Requests, profile: ClusterProfileSpec) -> dict[str, Any]:
    """Requests and limits are the same, so that a program gets what it asks for and no more."""
    amounts: dict[str, str] = {}
    amounts |= {"cpu": str(needs.cpu)} if needs.cpu is not None else {}
    amounts |= {"memory": str(needs.memory)} if needs.memory is not None else {}
    if needs.accelerator and (found := accelerator_of(profile, needs.accelerator.type)):
        amounts[found.resource_name] = str(needs.accelerator.count)
    return {"requests": amounts, "limits": dict(amounts)} if amounts else {}


def _identity(pod: PodTemplate, needs: PodNeeds, facts: ClusterFacts) -> dict[str, Any]:
    """The service account and pull secrets. Clouds give a pod its identity by other ways than a mounted token."""
    account = facts.registry_account if needs.uses_registry else pod.service_account_name
    secrets = [*pod.image_pull_secrets, *([facts.registry_secret] if needs.uses_registry else ())]
    named = [{"name": each} for each in secrets if each]
    return {
        **({"serviceAccountName": account} if account else {}),
        "automountServiceAccountToken": False,
        **({"imagePullSecrets": named} if named else {}),
    }


def _identity_labels(needs: PodNeeds, facts: ClusterFacts) -> dict[str, str]:
    azure = any(name.startswith(_AZURE) for name in facts.profile.identity)
    return {f"{_AZURE}/use": "true"} if azure and needs.uses_registry else {}


def _pod_security(program: Program, pod: PodTemplate) -> dict[str, Any]:
    user = pod.run_as_user or (None if program.image else USER_ID)
    return {
        "runAsNonRoot": True,
        **({"runAsUser": user} if user else {}),
        "fsGroup": pod.fs_group or GROUP_ID,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def _placement(
    resource: AnyResource, program: Program, pod: PodTemplate, profile: ClusterProfileSpec
) -> dict[str, Any]:
    asked = program.resources.accelerator
    found = accelerator_of(profile, asked.type) if asked else None
    selector = {**(found.node_selector if found else {}), **pod.node_selector}
    tolerations = [_set_fields(each) for each in (*(found.tolerations if found else ()), *pod.tolerations)]
    return {
        **({"nodeSelector": selector} if selector else {}),
        **({"tolerations": tolerations} if tolerations else {}),
        **({"affinity": _affinity(pod)} if pod.node_affinity else {}),
        **({"topologySpreadConstraints": [_spread(resource, pod.spread_over)]} if pod.spread_over else {}),
        **({"priorityClassName": pod.priority_class_name} if pod.priority_class_name else {}),
    }


def _affinity(pod: PodTemplate) -> dict[str, Any]:
    expressions = [_set_fields(each) for each in pod.node_affinity]
    terms = {"nodeSelectorTerms": [{"matchExpressions": expressions}]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}


def _spread(resource: AnyResource, key: str) -> dict[str, Any]:
    """Over nodes with different values of the label as evenly as possible, but rather unevenly than not at all."""
    labels = our_labels(resource)
    own = {name: labels[name] for name in (KIND_LABEL, NAME_LABEL)}
    return {
        "maxSkew": 1,
        "topologyKey": key,
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": own},
    }


def _volumes(program: Program, pod: PodTemplate, needs: PodNeeds, facts: ClusterFacts) -> Iterable[dict[str, Any]]:
    yield {"name": "tmp", "emptyDir": {}}
    if pod.shared_memory is not None:
        yield {"name": "shared-memory", "emptyDir": {"medium": "Memory", "sizeLimit": str(pod.shared_memory)}}
    if needs.uses_registry and facts.registry_secret:
        files = {"secretName": facts.registry_secret, "optional": True, "items": [_DOCKER_CONFIG]}
        yield {"name": "registry", "secret": files}
    for each in {mount.volume: mount for mount in needs.mounts}.values():
        yield {"name": _claimed(each), "persistentVolumeClaim": {"claimName": each.volume}}
    named = names_in_pod(each.name for each in pod.volumes)
    yield from ({"name": named[each.name], **_source(each)} for each in pod.volumes)


_DOCKER_CONFIG = {"key": ".dockerconfigjson", "path": "config.json"}


def _source(volume: PodVolume) -> dict[str, Any]:
    if volume.persistent_volume_claim:
        return {"persistentVolumeClaim": {"claimName": volume.persistent_volume_claim}}
    if volume.secret:
        return {"secret": {"secretName": volume.secret}}
    if volume.config_map:
        return {"configMap": {"name": volume.config_map}}
    if volume.image:
        return {"image": {"reference": volume.image}}
    return {"emptyDir": {"sizeLimit": str(volume.empty_dir)}}


def _mounts(pod: PodTemplate, needs: PodNeeds, facts: ClusterFacts) -> Iterable[dict[str, Any]]:
    yield {"name": "tmp", "mountPath": "/tmp"}  # noqa: S108
    if pod.shared_memory is not None:
        yield {"name": "shared-memory", "mountPath": "/dev/shm"}  # noqa: S108
    if needs.uses_registry and facts.registry_secret:
        yield {"name": "registry", "mountPath": REGISTRY_PATH, "readOnly": True}
    for each in {mount.volume: mount for mount in needs.mounts}.values():
        path = f"{VOLUMES_PATH}/{each.volume}"
        yield {"name": _claimed(each), "mountPath": path, **({"readOnly": True} if each.read_only else {})}
    named = names_in_pod(each.name for each in pod.volumes)
    for each in pod.volumes:
        read_only = each.read_only or each.image
        yield {"name": named[each.name], "mountPath": each.mount_path, **({"readOnly": True} if read_only else {})}


def _claimed(mount: VolumeMount) -> str:
    """The names of our volumes are short, and differ."""
    return f"claim-{mount.volume}"
