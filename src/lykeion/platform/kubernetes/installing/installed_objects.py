"""The types of what an installation consists of, beside those that the operator itself uses."""

from collections.abc import Mapping

from lykeion.platform.composition import DEFINED
from lykeion.platform.kubernetes.objects import DEPLOYMENTS, SECRETS, KubeObject, ObjectType, custom_type

_RBAC = "rbac.authorization.k8s.io"
DEFINITIONS = ObjectType(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False
)
NAMESPACES = ObjectType("", "v1", "namespaces", "Namespace", namespaced=False)
_TYPES: Mapping[str, ObjectType] = {
    each.kind: each
    for each in (
        DEFINITIONS,
        NAMESPACES,
        DEPLOYMENTS,
        SECRETS,
        ObjectType("", "v1", "serviceaccounts", "ServiceAccount"),
        ObjectType(_RBAC, "v1", "clusterroles", "ClusterRole", namespaced=False),
        ObjectType(_RBAC, "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False),
        ObjectType(_RBAC, "v1", "roles", "Role"),
        ObjectType(_RBAC, "v1", "rolebindings", "RoleBinding"),
        ObjectType("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy"),
        custom_type(DEFINED["ClusterProfile"]),
    )
}


def type_of_installed(document: KubeObject) -> ObjectType:
    return _TYPES[document["kind"]]
