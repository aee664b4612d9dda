"""The operator has the rights that it needs and no others: those of its role, and what it asked a real server for."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from lykeion.platform.kubernetes.installing.operator_rules import CLUSTERED, NAMESPACED, OWN

from .kubernetes_api import condition
from .kubernetes_cluster import Cluster, kubernetes_cluster, read_documents
from .process_node.handle import process_node
from .test_operator_install import IMAGE, lykeion

pytestmark = pytest.mark.slow

LIFE = Path(__file__).parent / "operator_life.yaml"
ACCOUNT = "system:serviceaccount:lykeion-system:lykeion-operator"
OURS = "lykeion.github.io"
Right = tuple[str, str, str]
"""The API group, the resource and perhaps its subresource, the verb."""


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster in which resources of each kind were made, changed and deleted, and the operator too."""
    place = tmp_path_factory.mktemp("rights") / "cluster"
    with kubernetes_cluster(place, crds=False) as cluster, process_node(cluster):
        lykeion(cluster, "operator", "install", "--image", IMAGE)
        storage = {"spec": {"storage": {"shared": True}}}
        cluster.api.patch("ClusterProfile", "this-cluster", None, storage)
        cluster.kubectl("apply", "-f", str(LIFE))
        _live(cluster)
        lykeion(cluster, "operator", "uninstall", "--delete-resources")
        cluster.api.wait_all("Pod", "lykeion-system", lambda them: not them)
        cluster.stop_api()  # the last watches end with it, and are audited when they do
        yield cluster
        cluster.start_api()


def _live(cluster: Cluster) -> None:
    api = cluster.api
    _until(cluster, "BatchExecution", "half", "Failed")
    lykeion(cluster, "retry", "batch/half", LYKEION_CONTEXT="tests")
    _until(cluster, "BatchExecution", "half-retry-1", "Failed")
    _until(cluster, "Training", "twice", "Failed")
    _until(cluster, "Training", "paused", "Running")
    lykeion(cluster, "suspend", "training/paused", LYKEION_CONTEXT="tests")
    _until(cluster, "Training", "paused", "Suspended")
    lykeion(cluster, "resume", "training/paused", LYKEION_CONTEXT="tests")
    _until(cluster, "Training", "paused", "Running")
    _until(cluster, "Serving", "shop", "Ready")
    fixed = {"spec": {"autoscaling": None, "replicas": 1}}
    api.patch("Serving", "shop", "default", fixed)
    api.wait_all("HorizontalPodAutoscaler", "default", lambda them: not them)
    variable = {"name": "VERSION", "value": "2"}
    program = {**api.get("Serving", "shop", "default")["spec"]["program"], "env": [variable]}
    api.patch("Serving", "shop", "default", {"spec": {"program": program}})
    api.wait_all("Deployment", "default", lambda them: len(them) == 2)
    api.wait_all("Deployment", "default", lambda them: len(them) == 1)
    api.wait_gone("Training", "alone", "default")
    api.wait_all(
        "PipelineRun", "default", lambda them: any(condition(it, "Complete") == "True" for it in them), seconds=120
    )


def _until(cluster: Cluster, kind: str, name: str, type_: str) -> None:
    cluster.api.wait(kind, name, "default", lambda it: condition(it, type_) == "True")


@pytest.fixture(scope="module")
def used(lived: Cluster) -> dict[Right, set[int]]:
    """What the operator asked for, and the codes of the answers."""
    found: dict[Right, set[int]] = {}
    for each in lived.audited():
        if each["user"]["username"] == ACCOUNT and "objectRef" in each:
            found.setdefault(_right(each), set()).add(each["responseStatus"]["code"])
    return found


def _right(request: dict[str, Any]) -> Right:
    what = request["objectRef"]
    inner = f"/{what['subresource']}" if "subresource" in what else ""
    return what.get("apiGroup", ""), what["resource"] + inner, request["verb"]


GRANTED = {
    (rule.group, each, verb)
    for rule in (*NAMESPACED, *CLUSTERED, *OWN)
    for each in rule.resources
    for verb in rule.verbs
}
GATEWAY = "gateway.networking.k8s.io"
RARE: dict[str, set[Right]] = {
    "the server's plugin OwnerReferencesPermissionEnforcement asks for it": {
        (OURS, f"{each}/finalizers", "update")
        for each in ("batchexecutions", "imagebuilds", "pipelineruns", "pipelines", "servings", "trainings")
    },
    "after a conflict, or a name that is taken, the object is read": {
        *(
            (OURS, each, "get")
            for each in ("imagebuilds", "pipelineruns", "pipelines", "servings", "trainings", "webhooks")
        ),
        *(("", each, "get") for each in ("configmaps", "persistentvolumeclaims", "serviceaccounts", "services")),
        ("apps", "deployments", "get"),
        ("autoscaling", "horizontalpodautoscalers", "get"),
        ("batch", "jobs", "get"),
        ("jobset.x-k8s.io", "jobsets", "get"),
        ("policy", "poddisruptionbudgets", "get"),
        (GATEWAY, "httproutes", "get"),
    },
    "a run is suspended, outlives its time, or is cancelled": {
        (OURS, "pipelineruns", "patch"),
        (OURS, "pipelineruns", "delete"),
        (OURS, "batchexecutions", "patch"),
        (OURS, "batchexecutions", "delete"),
        (OURS, "trainings", "patch"),
    },
    "a run directory is to be larger": {("", "persistentvolumeclaims", "patch")},
    "a step with inputs or outputs ends, and its volumes go": {("", "persistentvolumeclaims", "delete")},
    "the same event happens again": {("events.k8s.io", "events", "patch")},
    "a webhook was called": {(OURS, "webhooks/status", "patch")},
    "a release changes what is written, or a person has changed it": {
        ("autoscaling", "horizontalpodautoscalers", "patch"),
        ("policy", "poddisruptionbudgets", "patch"),
    },
    "the cluster is one of GKE": {
        ("networking.gke.io", "healthcheckpolicies", each)
        for each in ("create", "delete", "get", "list", "patch", "watch")
    },
    "the cluster has JobSet": {("jobset.x-k8s.io", "jobsets", each) for each in ("create", "delete", "watch")},
    "the cluster has the Gateway API": {
        (GATEWAY, "httproutes", each) for each in ("create", "delete", "patch", "watch")
    },
}
"""Rights that this life does not ask for, by the reason for which they are needed."""


def test_the_operator_was_refused_nothing(used: dict[Right, set[int]]) -> None:
    assert {right: codes for right, codes in used.items() if 403 in codes} == {}


def test_the_operator_has_no_right_that_nothing_needs(used: dict[Right, set[int]]) -> None:
    rare = set().union(*RARE.values())
    _none(GRANTED - set(used) - rare, "granted, but not asked for")
    _none(rare - GRANTED, "rare, but not granted")


def test_in_one_namespace_the_operator_carries_that_one_alone(tmp_path: Path) -> None:
    with kubernetes_cluster(tmp_path / "cluster", crds=False) as cluster, process_node(cluster):
        cluster.namespace("shop")
        lykeion(cluster, "operator", "install", "--image", IMAGE, "--only", "shop")
        document = next(read_documents(LIFE))
        for namespace in ("default", "shop"):
            cluster.kubectl("apply", "-n", namespace, "-f", "-", text=yaml.safe_dump(document | {"spec": UNLIMITED}))
        cluster.api.wait("Training", "alone", "shop", lambda it: condition(it, "Complete") == "True")
        assert "status" not in cluster.api.get("Training", "alone", "default")
        codes = {each["responseStatus"]["code"] for each in cluster.audited() if each["user"]["username"] == ACCOUNT}
        assert 403 not in codes
        account = cluster.kubeconfig_of_account("lykeion-operator", "lykeion-system")
        refused = cluster.kubectl("get", "trainings", "-n", "default", code=1, kubeconfig=account)
        assert "forbidden" in refused


UNLIMITED = {"program": {"command": ["true"], "pod": {"runAsUser": 65532}}}


def _none(rights: Iterable[Right], what: str) -> None:
    if shown := [f"{verb} {resource}.{group}" for group, resource, verb in sorted(rights)]:
        pytest.fail(f"{what}:\n" + "\n".join(shown))
