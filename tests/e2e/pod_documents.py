"""Documents of pods and what becomes of them, for tests on a cluster."""

from typing import Any

from .kubernetes_api import Object
from .kubernetes_cluster import Cluster


def pod(name: str, *script: str, **spec: Any) -> Object:
    """A pod with one container, which runs a shell script with this machine's programs."""
    containers = [shell(*script) | spec.pop("container", {})]
    whole = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 5, "containers": containers, **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": whole}


def shell(*script: str, name: str = "main", **fields: Any) -> Object:
    """A container."""
    return {"name": name, "image": "host.local/shell", "command": ["sh", "-c", "\n".join(script)], **fields}


def created(cluster: Cluster, namespace: str, document: Object) -> Object:
    document["metadata"]["namespace"] = namespace
    return cluster.api.create(document)


def ended(cluster: Cluster, namespace: str, document: Object) -> Object:
    """The status of a pod when it has ended."""
    created(cluster, namespace, document)
    name = document["metadata"]["name"]
    return cluster.api.wait("Pod", name, namespace, has_ended)["status"]


def has_ended(it: Object) -> bool:
    return it.get("status", {}).get("phase") in ("Succeeded", "Failed")


def runs(it: Object) -> bool:
    return it.get("status", {}).get("phase") == "Running"


def main_status(it: Object) -> Object:
    """The status of a pod's first container; {} before it has one."""
    return next(iter(it.get("status", {}).get("containerStatuses", ())), {})


def terminated(status: Object, name: str = "main") -> Object:
    """How a container of a pod's status ended."""
    both = [*status.get("containerStatuses", ()), *status.get("initContainerStatuses", ())]
    return next(it["state"]["terminated"] for it in both if it["name"] == name)


def waiting_reason(it: Object) -> str:
    return main_status(it).get("state", {}).get("waiting", {}).get("reason", "")


def last_of(cluster: Cluster, namespace: str, name: str) -> Object:
    """The last that was seen of a pod before it was gone."""
    last: list[Object] = []
    cluster.api.wait("Pod", name, namespace, lambda it: last.append(it) if it else True)
    return last[-1]
