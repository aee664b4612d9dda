"""What the operator may do in a cluster, with the reason for each rule, and what users may do with our kinds."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from lykeion.control import GROUP, AnyKind
from lykeion.platform.composition import CONTROLLERS, DEFINED
from lykeion.platform.kubernetes.objects import CREDENTIALS
from lykeion.platform.resources.pipelines import PIPELINE_RUN

REMOTE = "lykeion-steps"
"""The account, and its role, as which the operator of another cluster makes runs."""
_WATCH = ("list", "watch")
_READ = ("get", *_WATCH)


@dataclass(frozen=True)
class AccessRule:
    """``resources`` of one API group, some as ``pods/log``; ``why`` says what would not work without it."""

    group: str
    resources: tuple[str, ...]
    verbs: tuple[str, ...]
    why: str
    names: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        rule = {"apiGroups": [self.group], "resources": list(self.resources), "verbs": list(self.verbs)}
        return {**rule, "resourceNames": list(self.names)} if self.names else rule


def _plurals(suffix: str = "") -> tuple[str, ...]:
    return tuple(kind.plural + suffix for kind in DEFINED.values() if kind.namespaced)


def _names(kinds: Iterable[AnyKind], suffix: str = "") -> tuple[str, ...]:
    return tuple(sorted({kind.plural + suffix for kind in kinds}))


_RECONCILED = [each.kind for each in CONTROLLERS]
_CREATED = [kind for each in CONTROLLERS for kind in each.children if kind.name in DEFINED]
"""Those of our kinds that controllers create, such as the runs of a pipeline; these alone have a time to live."""

NAMESPACED: tuple[AccessRule, ...] = (
    AccessRule(GROUP, _plurals(), _READ, "reconciles them"),
    AccessRule(GROUP, _plurals("/status"), ("patch",), "writes their status"),
    AccessRule(GROUP, _names(_RECONCILED, "/finalizers"), ("update",), "owns children that block its deletion"),
    AccessRule(
        GROUP,
        _names(_CREATED),
        ("create", "patch", "delete"),
        "creates runs and changes them; deletes those that have outlived their time or their step",
    ),
    AccessRule("batch", ("jobs",), (*_READ, "create", "patch", "delete"), "runs programs; suspends and resumes them"),
    AccessRule("jobset.x-k8s.io", ("jobsets",), (*_READ, "create", "delete"), "runs programs of several roles"),
    AccessRule("batch", ("jobs/status",), ("patch",), "tells a Job which of its indexes were done before it"),
    AccessRule("", ("pods",), _WATCH, "finds out why a program does not start, and how it has ended"),
    AccessRule("", ("configmaps",), ("create", "get"), "gives the pods of a Job their items"),
    AccessRule(
        "", ("persistentvolumeclaims",), (*_READ, "create", "patch", "delete"), "makes volumes, and lets them grow"
    ),
    AccessRule(
        "", ("services",), (*_READ, "create", "patch", "delete"), "gives replicas and the workers of a program names"
    ),
    AccessRule("", ("serviceaccounts",), ("create", "get"), "makes the account that pulls and pushes"),
    AccessRule("apps", ("deployments",), (*_READ, "create", "patch", "delete"), "runs the replicas of a serving"),
    AccessRule(
        "autoscaling",
        ("horizontalpodautoscalers",),
        (*_READ, "create", "patch", "delete"),
        "scales the replicas of a serving",
    ),
    AccessRule(
        "policy",
        ("poddisruptionbudgets",),
        (*_READ, "create", "patch", "delete"),
        "keeps replicas while nodes drain",
    ),
    AccessRule(
        "gateway.networking.k8s.io",
        ("httproutes",),
        (*_READ, "create", "patch", "delete"),
        "shares requests between versions",
    ),
    AccessRule(
        "networking.gke.io",
        ("healthcheckpolicies",),
        (*_READ, "create", "patch", "delete"),
        "tells GKE's load balancer how replicas are checked",
    ),
    AccessRule(
        "events.k8s.io",
        ("events",),
        ("create", "patch", "list", "watch"),
        "records what happens to a resource, and shows it; finds out why no pod can be created",
    ),
)
"""What is done in the namespaces where resources are."""

CLUSTERED: tuple[AccessRule, ...] = (
    AccessRule(GROUP, ("clusterprofiles",), _WATCH, "knows what the cluster calls accelerators and storage"),
)
"""What has no namespace."""

OWN: tuple[AccessRule, ...] = (
    AccessRule("coordination.k8s.io", ("leases",), ("create",), "takes the Lease at the first start"),
    AccessRule(
        "coordination.k8s.io", ("leases",), ("get", "update"), "one operator at a time works", ("lykeion-operator",)
    ),
)
"""What is done in the operator's own namespace."""

BOUND: tuple[AccessRule, ...] = (
    AccessRule("", ("secrets",), ("get",), "runs steps of pipelines in other clusters", (CREDENTIALS,)),
)
"""What the operator may do only in namespaces that bind the ClusterRole CREDENTIALS to it."""

REMOTES: tuple[AccessRule, ...] = (
    AccessRule(
        GROUP,
        (PIPELINE_RUN.plural,),
        ("get", "list", "create", "patch", "delete"),
        "makes the run of a step, suspends it, and removes it; finds those that were left",
    ),
)
"""What the operator of another cluster is given, in one namespace."""

VIEWERS: tuple[AccessRule, ...] = (
    AccessRule(GROUP, (*_plurals(), *_plurals("/status")), _READ, "whoever may view a namespace sees our kinds"),
)
EDITORS: tuple[AccessRule, ...] = (
    AccessRule(
        GROUP,
        _plurals(),
        ("create", "update", "patch", "delete", "deletecollection"),
        "whoever may edit a namespace writes our kinds",
    ),
    AccessRule(
        GROUP,
        tuple(f"{kind.plural}/scale" for kind in DEFINED.values() if kind.scales),
        ("get", "update", "patch"),
        "whoever may edit a namespace scales servings",
    ),
)


def documents(rules: Iterable[AccessRule]) -> list[dict[str, Any]]:
    """As the rules of a Role or ClusterRole."""
    return [each.document() for each in rules]
