"""Groups and routes of one Serving, and their objects as an API server keeps them."""

import copy
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from msgspec import structs

from lykeion.control import AnyResource, Owner
from lykeion.platform.kubernetes.objects.object_types import HEALTH_CHECKS, HTTP_ROUTES, KubeObject
from lykeion.platform.kubernetes.objects.translation import ClusterFacts, Translation, our_labels
from lykeion.platform.kubernetes.servings.replica_group_objects import REPLICA_GROUPS
from lykeion.platform.resources.plain_kinds.autoscaling import Autoscaling
from lykeion.platform.resources.plain_kinds.replica_group import (
    REPLICA_GROUP,
    Liveness,
    Readiness,
    ReplicaArtifact,
    ReplicaGroup,
    ReplicaGroupSpec,
)
from lykeion.platform.resources.plain_kinds.route import ROUTE, Route, RouteSpec, WeightedGroup
from lykeion.platform.resources.programs.program import Program, Requests
from lykeion.platform.resources.settings.cluster_profile import ClusterProfileSpec

PINNED = Path(__file__).parent / "pinned"
OWNER = Owner(api_version="lykeion.github.io/v1alpha1", kind="Serving", name="shop", uid="u-1")
FACTS = ClusterFacts(image="registry.example.com/lykeion@sha256:" + "a" * 64, registry_secret="registry-login")
GATED = replace(
    FACTS,
    profile=ClusterProfileSpec(gateway_class_name="traefik", gateway_url="https://models.example.com"),
    served=frozenset({HTTP_ROUTES.api_version}),
)
ON_GKE = replace(GATED, served=GATED.served | {HEALTH_CHECKS.api_version})
BY_CPU = Autoscaling(min_replicas=2, max_replicas=8, target_cpu="800m", scale_down_stabilization_seconds=120)
DIGEST = "sha256:" + "b" * 64


def group(name: str = "shop-1", **spec: Any) -> ReplicaGroup:
    program = Program(
        image="shop:v1", command=("server",), args=("$(PORT)",), resources=Requests(cpu=1, memory="1Gi")
    )
    given = {"program": program, "readiness": Readiness(path="/readyz"), **spec}
    return _owned(REPLICA_GROUP.new(name, ReplicaGroupSpec(**given)))


def indexed(*, follow_seconds: int | None = None) -> ReplicaGroup:
    """A group of ``lykeion serve``, which is given an index."""
    reference = "shop/index:current" if follow_seconds else f"registry.example.com/shop/index@{DIGEST}"
    artifact = ReplicaArtifact(variable="LYKEION_INDEX", artifact=reference, follow_seconds=follow_seconds)
    program = Program(command=("lykeion", "serve", "--index", "$(LYKEION_INDEX)"))
    return group(program=program, artifacts=(artifact,))


def route(service: str = "shop", name: str = "shop-route", **weights: int) -> Route:
    groups = tuple(WeightedGroup(group=each.replace("_", "-"), weight=weight) for each, weight in weights.items())
    return _owned(ROUTE.new(name, RouteSpec(service=service, groups=groups)))


def kept(objects: Sequence[KubeObject], **status: Any) -> list[KubeObject]:
    """As the API server has them after they were posted; ``status`` is that of the first."""
    found = copy.deepcopy(list(objects))
    for number, each in enumerate(found):
        each["metadata"] |= {
            "uid": f"uid-{number}",
            "resourceVersion": str(10 + number),
            "generation": 1,
            "creationTimestamp": "2026-11-01T12:00:00Z",
            "managedFields": [],
        }
    found[0]["status"] = status
    return found


def changed(
    translation: Translation, there: Sequence[KubeObject], wanted: AnyResource, facts: ClusterFacts = FACTS
) -> list[tuple[str, str]]:
    """The verbs and kinds of the changes."""
    return [(each.verb, each.document["kind"]) for each in translation.changes(there, wanted, facts)]


def pod(of: ReplicaGroup, **status: Any) -> KubeObject:
    metadata = {
        "name": "shop-1-abc",
        "uid": "p-1",
        "labels": our_labels(of),
        "resourceVersion": "20",
        "creationTimestamp": "2026-11-01T12:00:01Z",
    }
    containers = REPLICA_GROUPS.objects(of, FACTS)[0]["spec"]["template"]["spec"]["containers"]
    spec = {"containers": containers}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": status}


def is_as_pinned(name: str, objects: Sequence[KubeObject]) -> bool:
    """Whether the documents are those of a file. It is written if it is missing: look at it, and commit it."""
    file = PINNED / f"{name}.yaml"
    text = yaml.safe_dump_all(objects, sort_keys=False, width=110)
    if not file.exists():
        PINNED.mkdir(exist_ok=True)
        file.write_text(text)
        return False
    return list(yaml.safe_load_all(file.read_text())) == list(yaml.safe_load_all(text))


def _owned(resource: Any) -> Any:
    return replace(resource, metadata=structs.replace(resource.metadata, owner_references=(OWNER,)))


__all__ = [
    "BY_CPU", "DIGEST", "FACTS", "GATED", "ON_GKE", "OWNER", "Liveness", "changed", "group", "indexed",
    "is_as_pinned", "kept", "pod", "route",
]  # fmt: skip
