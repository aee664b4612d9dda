"""What an installation consists of: the types, beside those that the operator itself uses, and what is there."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping

from lykeion.platform.composition import DEFINED
from lykeion.platform.kubernetes.api import ClusterClient
from lykeion.platform.kubernetes.objects import (
    DEPLOYMENTS,
    SECRETS,
    SERVICE_ACCOUNTS,
    KubeObject,
    ObjectType,
    custom_type,
    key_of,
)

from .object_heads import PART_OF

INSTALLER = "lykeion-install"
"""The field manager of what is installed."""
PAGE = 500
"""Objects of a listing at a time."""

_RBAC = "rbac.authorization.k8s.io"
DEFINITIONS = ObjectType(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False
)
NAMESPACES = ObjectType("", "v1", "namespaces", "Namespace", namespaced=False)
CLUSTER_ROLE_BINDINGS = ObjectType(_RBAC, "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False)
ROLES = ObjectType(_RBAC, "v1", "roles", "Role")
ROLE_BINDINGS = ObjectType(_RBAC, "v1", "rolebindings", "RoleBinding")
_TYPES: Mapping[str, ObjectType] = {
    each.kind: each
    for each in (
        DEFINITIONS,
        NAMESPACES,
        DEPLOYMENTS,
        SECRETS,
        SERVICE_ACCOUNTS,
        ObjectType(_RBAC, "v1", "clusterroles", "ClusterRole", namespaced=False),
        CLUSTER_ROLE_BINDINGS,
        ROLES,
        ROLE_BINDINGS,
        ObjectType("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy"),
        custom_type(DEFINED["ClusterProfile"]),
    )
}


def type_of_installed(document: KubeObject) -> ObjectType:
    return _TYPES[document["kind"]]


_NEVER_SUPERSEDED = ("CustomResourceDefinition", "Namespace", "ClusterProfile", "Secret")
"""Deleted with them would be what is not the installation's; Secrets are not read."""


async def superseded(client: ClusterClient, objects: Iterable[KubeObject]) -> list[KubeObject]:
    """What an installation has applied before, such as an earlier version's, and is not among ``objects``.

    What others have applied with our labels, such as files of deploy/, is not in it.
    """
    kept = {key_of(each) for each in objects}
    selector = ",".join(f"{name}={value}" for name, value in PART_OF.items())
    found: list[KubeObject] = []
    for type_ in (each for each in _TYPES.values() if each.kind not in _NEVER_SUPERSEDED):
        listed = await client.get(type_.path(), type_.plural, {"labelSelector": selector})
        there = ({"apiVersion": type_.api_version, "kind": type_.kind, **each} for each in listed["items"])
        found += [each for each in there if key_of(each) not in kept and is_installed(each)]
    return found


def is_installed(there: KubeObject) -> bool:
    """Whether an installation has applied it, rather than a person."""
    return any(each.get("manager") == INSTALLER for each in there["metadata"].get("managedFields", ()))


async def in_pages(
    read: Callable[[str, str, dict[str, str]], Awaitable[KubeObject]], type_: ObjectType, selected: dict[str, str]
) -> AsyncGenerator[KubeObject, None]:
    """All objects of a type that are selected, in all namespaces, each as the listing has it. ``read`` is a method of
    the client. Raises what it raises."""
    query = {**selected, "limit": str(PAGE)}
    while True:
        page = await read(type_.path(), type_.plural, query)
        for each in page.get("items") or ():
            yield each
        if not (more := page["metadata"].get("continue")):
            return
        query = {**query, "continue": str(more)}
