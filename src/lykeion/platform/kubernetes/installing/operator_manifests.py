"""The objects that an installation of the operator consists of, as JSON types; deploy/ has them as files. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from lykeion import __version__
from lykeion.control import GROUP, AnyKind, custom_resource_definition
from lykeion.oci.distribution import SCHEMES_VARIABLE, named_schemes
from lykeion.platform.composition import DEFINED
from lykeion.platform.kubernetes.objects import CREDENTIALS, REGISTRY
from lykeion.platform.kubernetes.pods import REGISTRY_PATH

from .cloud_profiles import cloud_profile, identity_of, pod_labels_of
from .fleet_roles import AGGREGATE, fleet_roles
from .object_heads import PART_OF, RBAC, Document, head
from .operator_rules import BOUND, CLUSTERED, EDITORS, NAMESPACED, OWN, VIEWERS, documents

OPERATOR = "lykeion-operator"
"""The name of the Deployment, of its service account and of its Lease."""
NAMESPACE = "lykeion-system"
IMAGE = "lykeion-operator:latest"
PORT = 8080
"""Of metrics and probes."""
USER = 65532
TEMPORARY = "/tmp"  # noqa: S108  (a container's own)
HOME = f"{TEMPORARY}/lykeion"
SELECTOR = {"app.kubernetes.io/name": "lykeion", "app.kubernetes.io/component": "operator"}
MANAGED = {"app.kubernetes.io/managed-by": "lykeion"}
"""Of all that the operator creates."""
PROFILE_LABEL = f"{GROUP}/profile"
"""Of the ClusterProfile: the cloud whose it is."""
VERSION_LABEL = "app.kubernetes.io/version"


@dataclass(frozen=True)
class Installation:
    """What may differ between installations.

    ``image`` is best given by digest. ``account`` is what the cloud calls who pulls and pushes, ``registry`` the
    prefix of names without a host. With ``only``, the operator works in that namespace alone and has no rights in
    others. ``registries`` are addresses with spaces between them, as in ``$LYKEION_REGISTRIES``, for the operator and
    its own programs. ``fleet`` are the kinds of a fleet of devices that are defined beside those of the platform.
    """

    profile: str = "plain"
    namespace: str = NAMESPACE
    image: str = IMAGE
    account: str = ""
    registry: str = ""
    only: str = ""
    registries: str = ""
    fleet: tuple[AnyKind, ...] = ()

    @property
    def kinds(self) -> dict[str, AnyKind]:
        """Those that the cluster is given definitions of, by name."""
        return defined_with(self.fleet)


def defined_with(fleet: Iterable[AnyKind]) -> dict[str, AnyKind]:
    return {**DEFINED, **{each.name: each for each in fleet}}


def definitions(kinds: Iterable[AnyKind]) -> list[Document]:
    """The CustomResourceDefinitions."""
    return [custom_resource_definition(kind) for kind in kinds]


def operator_objects(to: Installation) -> list[Document]:
    """All but the definitions, in the order in which they are applied. Raises InvalidReference."""
    return [
        _namespace(to),
        _service_account(to),
        *user_roles(),
        *fleet_roles(to.fleet),
        *_operator_roles(to),
        _own_role(to),
        _binding(to, "RoleBinding", OPERATOR, "Role", to.namespace),
        *network_policies(to.namespace, registry_ports(to.registries)),
        deployment(to),
        profile_object(to),
    ]


def profile_object(to: Installation) -> Document:
    """The ClusterProfile, without a status."""
    made = cloud_profile(to.profile, account=to.account, registry=to.registry).document()
    labels = {PROFILE_LABEL: to.profile}
    begun = head(made["apiVersion"], made["kind"], made["metadata"]["name"], labels=labels)
    return {**begun, "spec": _set(made["spec"])}


def user_roles() -> Iterator[Document]:
    """What is added to Kubernetes' own roles view, edit and admin."""
    viewing = {AGGREGATE + each: "true" for each in ("view", "edit", "admin")}
    editing = {AGGREGATE + each: "true" for each in ("edit", "admin")}
    yield {**head(RBAC, "ClusterRole", "lykeion-view", labels=viewing), "rules": documents(VIEWERS)}
    yield {**head(RBAC, "ClusterRole", "lykeion-edit", labels=editing), "rules": documents(EDITORS)}


def deployment(to: Installation) -> Document:
    return {
        **head("apps/v1", "Deployment", OPERATOR, to.namespace, {**SELECTOR, VERSION_LABEL: __version__}),
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": SELECTOR},
            "template": {
                "metadata": {
                    "labels": {**PART_OF, **SELECTOR, **pod_labels_of(to.profile)},
                    "annotations": {"kubectl.kubernetes.io/default-container": "operator"},
                },
                "spec": _pod(to),
            },
        },
    }


def registry_ports(registries: str) -> list[int]:
    """The ports of registries that are not reached by that of TLS."""
    ports = {"http": "80", "https": "443"}
    named = named_schemes(registries, "registries")
    found = {int(host.rpartition(":")[2] if ":" in host else ports[scheme]) for host, scheme in named.items()}
    return sorted(found - {443, 6443})


def network_policies(namespace: str, further: Sequence[int] = ()) -> Iterator[Document]:
    """Of the operator's namespace: metrics come in; names, the API, registries and replicas are reached."""
    policy = "networking.k8s.io/v1"
    yield {
        **head(policy, "NetworkPolicy", "default-deny", namespace),
        "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]},
    }
    anywhere: Document = {"namespaceSelector": {}}
    yield {
        **head(policy, "NetworkPolicy", OPERATOR, namespace),
        "spec": {
            "podSelector": {"matchLabels": SELECTOR},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"from": [anywhere], "ports": [_port(PORT)]}],
            "egress": [
                {"ports": [_port(53, "UDP"), _port(53)]},
                {"ports": [_port(443), _port(6443), *map(_port, further)]},
                {"to": [{**anywhere, "podSelector": {"matchLabels": MANAGED}}]},
                {"to": [anywhere], "ports": [_port(9090)]},
            ],
        },
    }


def program_policy(namespace: str) -> Document:
    """For a namespace of users: programs are reached only by one another, and do not reach the cloud's metadata."""
    return {
        **head("networking.k8s.io/v1", "NetworkPolicy", "lykeion-programs", namespace),
        "spec": {
            "podSelector": {"matchLabels": {**MANAGED, "lykeion.github.io/kind": "Work"}},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"from": [{"podSelector": {"matchLabels": MANAGED}}]}],
            "egress": [
                {"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["169.254.169.254/32"]}}]},
                {"to": [{"ipBlock": {"cidr": "::/0", "except": ["fd00:ec2::254/128"]}}]},
            ],
        },
    }


def pod_monitor(namespace: str) -> Document:
    """For Prometheus' operator."""
    return {
        **head("monitoring.coreos.com/v1", "PodMonitor", OPERATOR, namespace),
        "spec": {
            "selector": {"matchLabels": SELECTOR},
            "podMetricsEndpoints": [{"port": "metrics", "path": "/metrics", "interval": "30s"}],
        },
    }


def _namespace(to: Installation) -> Document:
    enforced = {f"pod-security.kubernetes.io/{each}": "restricted" for each in ("enforce", "warn")}
    return head("v1", "Namespace", to.namespace, labels=enforced)


def _service_account(to: Installation) -> Document:
    made = head("v1", "ServiceAccount", OPERATOR, to.namespace)
    if annotations := identity_of(to.profile, to.account):
        made["metadata"]["annotations"] = annotations
    return {**made, "automountServiceAccountToken": False}


def _operator_roles(to: Installation) -> Iterator[Document]:
    """One role for all namespaces; or a role for one, and a ClusterRole for what has no namespace."""
    rules = CLUSTERED if to.only else (*CLUSTERED, *NAMESPACED)
    yield {**head(RBAC, "ClusterRole", OPERATOR), "rules": documents(rules)}
    yield _binding(to, "ClusterRoleBinding", OPERATOR, "ClusterRole")
    yield {**head(RBAC, "ClusterRole", CREDENTIALS), "rules": documents(BOUND)}
    if to.only:
        name = f"{OPERATOR}-work"
        yield {**head(RBAC, "Role", name, to.only), "rules": documents(NAMESPACED)}
        yield _binding(to, "RoleBinding", name, "Role", to.only)


def _own_role(to: Installation) -> Document:
    return {**head(RBAC, "Role", OPERATOR, to.namespace), "rules": documents(OWN)}


def _binding(to: Installation, kind: str, name: str, role: str, namespace: str = "") -> Document:
    return {
        **head(RBAC, kind, name, namespace),
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": role, "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": OPERATOR, "namespace": to.namespace}],
    }


def _pod(to: Installation) -> Document:
    return {
        "serviceAccountName": OPERATOR,
        "automountServiceAccountToken": True,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 30,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "imagePullSecrets": [{"name": REGISTRY}],
        "containers": [_container(to)],
        "volumes": [
            {"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}},
            {"name": "registry", "secret": {"secretName": REGISTRY, "optional": True}},
        ],
    }


def _container(to: Installation) -> Document:
    only = ["--only-namespace", to.only] if to.only else []
    return {
        "name": "operator",
        "image": to.image,
        "command": ["lykeion", "operator", "run"],
        "args": ["--port", str(PORT), *only],
        "env": [
            {"name": "LYKEION_IMAGE", "value": to.image},
            {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "POD_NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
            {"name": "LYKEION_HOME", "value": HOME},
            {"name": "DOCKER_CONFIG", "value": REGISTRY_PATH},
            *([{"name": SCHEMES_VARIABLE, "value": to.registries}] if to.registries else []),
        ],
        "ports": [{"name": "metrics", "containerPort": PORT}],
        "startupProbe": _probe("/healthz", period_s=5, failures=24),
        "livenessProbe": _probe("/healthz", period_s=20, failures=3),
        "readinessProbe": _probe("/readyz", period_s=10, failures=3),
        "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "1Gi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "tmp", "mountPath": TEMPORARY},
            {"name": "registry", "mountPath": REGISTRY_PATH, "readOnly": True},
        ],
    }


def _probe(path: str, *, period_s: int, failures: int) -> Document:
    return {
        "httpGet": {"path": path, "port": "metrics"},
        "periodSeconds": period_s,
        "timeoutSeconds": 5,
        "failureThreshold": failures,
    }


def _port(number: int, protocol: str = "TCP") -> Document:
    return {"protocol": protocol, "port": number}


def _set(value: Any) -> Any:
    """Without what is empty."""
    if isinstance(value, dict):
        found = {name: _set(each) for name, each in value.items()}  # pyright: ignore[reportUnknownVariableType]
        return {name: each for name, each in found.items() if each not in ("", {}, [])}  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, list):
        return [_set(each) for each in value]  # pyright: ignore[reportUnknownVariableType]
    return value
