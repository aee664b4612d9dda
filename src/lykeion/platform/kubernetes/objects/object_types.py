"""The types of Kubernetes objects that Lykeion makes or reads, and where the API server has them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

from lykeion.control import AnyKind

KubeObject: TypeAlias = dict[str, Any]
"""An object as JSON types, with ``apiVersion`` and ``kind``."""


@dataclass(frozen=True)
class ObjectType:
    """``group`` is empty for the core group; objects of types that are not ``namespaced`` have no namespace."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str | None = None, name: str = "") -> str:
        """Of one object, or of all in a namespace or in all namespaces."""
        inside = f"/namespaces/{namespace}" if namespace and self.namespaced else ""
        root = "apis" if self.group else "api"
        return f"/{root}/{self.api_version}{inside}/{self.plural}" + (f"/{name}" if name else "")


JOBS = ObjectType("batch", "v1", "jobs", "Job")
PODS = ObjectType("", "v1", "pods", "Pod")
CONFIG_MAPS = ObjectType("", "v1", "configmaps", "ConfigMap")
SECRETS = ObjectType("", "v1", "secrets", "Secret")
SERVICES = ObjectType("", "v1", "services", "Service")
SERVICE_ACCOUNTS = ObjectType("", "v1", "serviceaccounts", "ServiceAccount")
VOLUME_CLAIMS = ObjectType("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim")
EVENTS = ObjectType("events.k8s.io", "v1", "events", "Event")
DEPLOYMENTS = ObjectType("apps", "v1", "deployments", "Deployment")
DISRUPTION_BUDGETS = ObjectType("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget")
AUTOSCALERS = ObjectType("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler")
LEASES = ObjectType("coordination.k8s.io", "v1", "leases", "Lease")
HTTP_ROUTES = ObjectType("gateway.networking.k8s.io", "v1", "httproutes", "HTTPRoute")
HEALTH_CHECKS = ObjectType("networking.gke.io", "v1", "healthcheckpolicies", "HealthCheckPolicy")
JOB_SETS = ObjectType("jobset.x-k8s.io", "v1alpha2", "jobsets", "JobSet")

OBJECT_TYPES: Mapping[tuple[str, str], ObjectType] = {
    (each.api_version, each.kind): each
    for each in (
        JOBS,
        PODS,
        CONFIG_MAPS,
        SECRETS,
        SERVICES,
        SERVICE_ACCOUNTS,
        VOLUME_CLAIMS,
        EVENTS,
        DEPLOYMENTS,
        DISRUPTION_BUDGETS,
        AUTOSCALERS,
        LEASES,
        HTTP_ROUTES,
        HEALTH_CHECKS,
        JOB_SETS,
    )
}
"""By ``apiVersion`` and ``kind``."""


def type_of(document: KubeObject) -> ObjectType:
    """Raises KeyError for a type that is not in ``OBJECT_TYPES``."""
    return OBJECT_TYPES[document["apiVersion"], document["kind"]]


def custom_type(kind: AnyKind) -> ObjectType:
    """Where the objects of a kind that is not a view are: our custom resources, Secret and ConfigMap."""
    group, _, version = kind.api_version.rpartition("/")
    return ObjectType(group, version, kind.plural, kind.name, kind.namespaced)


def inside(document: Mapping[str, Any], *path: str) -> dict[str, Any]:
    """The mapping at a path, empty if there is none."""
    found: Any = document
    for name in path:
        found = found.get(name) or {}
    return cast(dict[str, Any], found)


def key_of(document: KubeObject) -> tuple[str, str, str]:
    """Kind, namespace and name: enough, since no two of our types have one kind."""
    metadata = document["metadata"]
    return document["kind"], metadata.get("namespace", ""), metadata["name"]


def version_of(document: KubeObject) -> int:
    """Versions are to be compared as numbers: https://kep.k8s.io/5504."""
    return int(document["metadata"]["resourceVersion"])


def owners_of(metadata: Mapping[str, Any]) -> list[KubeObject]:
    """The references to owners, in which what is not said is said: they are not the controller."""
    references = cast(list[KubeObject], metadata.get("ownerReferences") or [])
    return [{"controller": False, "blockOwnerDeletion": False} | each for each in references]
