"""Servings on a real control plane: served, rolled out, promoted or rolled back by counts, and autoscaled."""

import sys
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from lykeion.platform.kubernetes.installing.operator_manifests import NAMESPACE, OPERATOR
from lykeion.platform.kubernetes.objects.owned_fields import holds

from .cluster_addons import set_usage, start_metrics
from .cluster_controllers import operator_account
from .cluster_operator import cluster_operator
from .cluster_servings import ClusterServing, cluster_load, ready_message, server, serving_operator, true
from .kubernetes_cluster import Cluster

PINNED = Path(__file__).parents[1] / "platform" / "kubernetes" / "pinned"
METRICS = {"requests": {"name": "answers_total"}, "failures": {"name": "answers_total", "labels": {"code": "5.."}}}
CHECK = "import os, urllib.request as u; assert u.urlopen(os.environ['CANARY_URL']).read() == b'shoes'"
CANARY = {
    "steps": [{"weight": 40, "pauseSeconds": 3}],
    "verify": {"program": {**server("check"), "command": [sys.executable, "-c", CHECK]}},
    "analysis": {
        "intervalSeconds": 1,
        "toleratedShare": 0.1,
        "deadlineSeconds": 600,
        "replicaMetrics": METRICS,
    },
}


@pytest.fixture
def shop(cluster: Cluster, namespace: str) -> Generator[ClusterServing]:
    with serving_operator(cluster, namespace):
        yield ClusterServing(cluster, namespace)


@pytest.mark.parametrize(
    "file",
    sorted(PINNED.glob("[gr][or]*.yaml")),
    ids=lambda file: file.stem,
)
def test_the_pinned_documents_are_accepted_and_nothing_of_them_is_dropped(cluster: Cluster, file: Path) -> None:
    documents = [each for each in yaml.safe_load_all(file.read_text()) if each["kind"] != "HTTPRoute"]
    for document in documents:
        assert holds(cluster.api.create_dry(document), document)


def test_the_operator_serves_one_version_and_another_by_few_writes(
    cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    shop, account = ClusterServing(cluster, namespace), operator_account(cluster)
    options = ("--only-namespace", namespace, "--namespace", NAMESPACE)
    with cluster_operator(cluster, tmp_path, *options, kubeconfig=account):
        shop.apply(program=server("one"), replicas=2, autoscaling={"maxReplicas": 4, "targetInFlight": 2})
        status = shop.wait_ready()
        assert true(status, "Unsupported")
        assert len(shop.endpoints("shop")) == 2
        shop.apply(program=server("two"), replicas=2)
        shop.wait(lambda it: it.get("history"))
        shop.wait_ready()
        cluster.api.wait_all("Deployment", namespace, lambda items: len(items) == 1)
    writes = _writes(cluster, namespace)
    assert len(writes) <= 26, writes


def _writes(cluster: Cluster, namespace: str) -> list[tuple[str, str]]:
    """What the operator has written in a namespace, without events."""
    user = f"system:serviceaccount:{NAMESPACE}:{OPERATOR}"
    ours = (each for each in cluster.audited() if each["user"]["username"] == user)
    written = ((each["verb"], each.get("objectRef", {})) for each in ours)
    return [
        (verb, where["resource"])
        for verb, where in written
        if verb not in ("get", "list", "watch")
        and where.get("namespace") == namespace
        and where["resource"] != "events"
    ]


def test_a_version_is_served_and_another_rolled_out_without_a_lost_request(shop: ClusterServing) -> None:
    shop.apply(program=server("one"), replicas=2)
    status = shop.wait_ready()
    assert status["url"] == f"http://shop.{shop.namespace}.svc"
    assert status["ready"] == len(shop.endpoints("shop")) == 2
    with cluster_load(shop) as load:
        shop.apply(program=server("two"), replicas=2)
        shop.wait(lambda it: it.get("history"))
        shop.wait_ready()
        shop.cluster.api.wait_all("Deployment", shop.namespace, lambda items: len(items) == 1)
        load.wait_more(20)  # those that were sent before
        load.answers.clear()
        load.wait_more(20)
    assert load.failures == []
    assert load.versions == {"two"}


@pytest.mark.parametrize(
    ("behaviour", "outcome", "reason"),
    [
        ("good", "Promoted", "Promoted"),
        ("failing", "RolledBack", "Harm"),
        ("wrong", "RolledBack", "VerifyFailed"),
        ("crashing", "RolledBack", "Crashed"),
    ],
)
def test_a_canary_is_promoted_or_rolled_back_by_what_its_replicas_count_and_how_they_fare(
    shop: ClusterServing, behaviour: str, outcome: str, reason: str
) -> None:
    shop.apply(program=server("one"), replicas=2, canary=CANARY)
    shop.wait_ready()
    with cluster_load(shop) as load:
        shop.apply(program=server("two", behaviour), replicas=2, canary=CANARY)
        status = shop.wait(lambda it: it.get("history"), seconds=600)
    last = status["history"][-1]
    assert (last["outcome"], last["reason"]) == (outcome, reason)
    assert load.failures == [] or behaviour == "crashing"
    assert load.answers["one", 500] == 0
    assert load.versions == ({"one"} if behaviour == "wrong" else {"one", "two"})
    assert not true(status, "Unsupported")


def test_a_rollout_goes_on_when_the_operator_was_killed_and_no_request_fails(
    cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    shop, account = ClusterServing(cluster, namespace), operator_account(cluster)
    options = ("--only-namespace", namespace, "--namespace", namespace)
    lease = {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["*"]}
    _bind(cluster, namespace, lease)
    with cluster_operator(cluster, tmp_path, *options, kubeconfig=account) as operator:
        shop.apply(program=server("one"), replicas=2, canary=CANARY)
        shop.wait_ready()
        with cluster_load(shop) as load:
            shop.apply(program=server("two"), replicas=2, canary=CANARY)
            load.wait_until(lambda: "two" in load.versions)
            operator.program.kill()
            load.wait_more(50)
            operator.start()
            status = shop.wait(lambda it: it.get("history"), seconds=600)
    assert status["history"][-1]["outcome"] == "Promoted"
    assert load.failures == []
    assert {code for _, code in load.answers} == {200}


def _bind(cluster: Cluster, namespace: str, rule: dict[str, Any]) -> None:
    """Let the operator's account do more in one namespace."""
    metadata, api = {"name": "more", "namespace": namespace}, "rbac.authorization.k8s.io"
    role = {"apiVersion": f"{api}/v1", "kind": "Role", "metadata": metadata, "rules": [rule]}
    account = {"kind": "ServiceAccount", "name": OPERATOR, "namespace": NAMESPACE}
    reference = {"apiGroup": api, "kind": "Role", "name": "more"}
    binding = {"apiVersion": f"{api}/v1", "kind": "RoleBinding", "metadata": metadata}
    for each in (role, {**binding, "roleRef": reference, "subjects": [account]}):
        cluster.api.apply(each)


HINDERED = {
    "image": ({"image": "layout.local/none:v1"}, "none:v1"),
    "room": ({"resources": {"cpu": 500}}, "no node takes it"),
    "secret": (
        {"env": [{"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "none", "key": "key"}}}]},
        'secret "none" not found',
    ),
    "accelerator": ({"resources": {"accelerator": {"type": "t4"}}}, "no accelerator t4"),
}


@pytest.mark.parametrize("what", HINDERED)
def test_what_hinders_replicas_is_said_with_the_cause(shop: ClusterServing, what: str) -> None:
    changed, cause = HINDERED[what]
    shop.apply(program={**server("one"), **changed})
    shop.wait(lambda status: cause in ready_message(status))


def test_a_quota_that_is_used_up_is_said(shop: ClusterServing) -> None:
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q", "namespace": shop.namespace}}
    shop.cluster.api.create({**quota, "spec": {"hard": {"pods": "0"}}})
    shop.cluster.api.wait("ResourceQuota", "q", shop.namespace, lambda it: it.get("status", {}).get("hard"))
    shop.apply(program=server("one"))
    shop.wait(lambda status: "exceeded quota" in ready_message(status))


def test_a_crashing_program_is_said_with_its_last_words(shop: ClusterServing) -> None:
    program = {**server("one"), "command": ["sh", "-c", "echo cannot read the model; exit 3"]}
    shop.apply(program=program)
    shop.wait(lambda status: "exit code 3: cannot read the model" in ready_message(status))


def test_what_a_person_deletes_beside_the_replicas_is_made_again(shop: ClusterServing) -> None:
    shop.apply(program=server("one"))
    shop.wait_ready()
    api, group = shop.cluster.api, shop.deployments()[0]["metadata"]["name"]
    for kind, name in (("Service", "shop"), ("Service", group), ("PodDisruptionBudget", group)):
        before = api.get(kind, name, shop.namespace)["metadata"]["uid"]
        api.delete(kind, name, shop.namespace)
        api.wait(kind, name, shop.namespace, lambda it, old=before: it and it["metadata"]["uid"] != old)


def test_another_service_of_its_name_is_left_alone_and_the_serving_says_so(shop: ClusterServing) -> None:
    api, metadata = shop.cluster.api, {"name": "shop", "namespace": shop.namespace}
    spec = {"ports": [{"port": 99}], "selector": {"app": "mine"}}
    theirs = api.create({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec})
    shop.apply(program=server("one"))
    told = api.wait_all("Event", shop.namespace, lambda items: [each for each in items if each["reason"] == "Exists"])
    assert any("shop" in each.get("message", each.get("note", "")) for each in told if each["reason"] == "Exists")
    assert api.get("Service", "shop", shop.namespace)["spec"] == theirs["spec"]
    api.delete("Service", "shop", shop.namespace)
    shop.wait_ready()
    assert api.get("Service", "shop", shop.namespace)["spec"]["selector"] != spec["selector"]


@contextmanager
def _replicas_seen(shop: ClusterServing) -> Iterator[list[int]]:
    """What the Deployment's number of replicas has been, one after another."""
    (deployment,) = shop.deployments()
    seen: list[int] = [deployment["spec"]["replicas"]]
    stop = threading.Event()

    def look() -> None:
        with shop.cluster.api.watch("Deployment", shop.namespace, seconds=120) as states:
            for now in states:
                seen.extend(each["spec"]["replicas"] for each in now.values())
                if stop.is_set():
                    return

    thread = threading.Thread(target=look)
    thread.start()
    yield seen
    stop.set()
    (deployment,) = shop.deployments()
    change = {"metadata": {"annotations": {"test": "the last"}}}
    shop.cluster.api.patch("Deployment", deployment["metadata"]["name"], shop.namespace, change)
    thread.join()


def test_what_the_autoscaler_sets_stays_and_from_fixed_to_it_and_back_nothing_dips(shop: ClusterServing) -> None:
    start_metrics(shop.cluster)
    set_usage(shop.cluster, shop.namespace, cpu="1500m")
    api, fixed = shop.cluster.api, {"program": server("one"), "replicas": 3}
    scaling = {"minReplicas": 1, "maxReplicas": 4, "targetCpu": "800m"}
    shop.apply(**fixed)
    shop.wait_ready()
    name = shop.deployments()[0]["metadata"]["name"]
    with _replicas_seen(shop) as seen:
        shop.apply(**fixed, autoscaling=scaling)
        status = shop.wait(lambda it: it.get("replicas") == 4 and it.get("ready") == 4)
        assert true(status, "Autoscaled")
        shop.apply(**fixed, autoscaling={**scaling, "scaleDownStabilizationSeconds": 600})
        assert shop.wait_ready()["replicas"] == 4
        window = {"stabilizationWindowSeconds": 600}
        scaler = api.get("HorizontalPodAutoscaler", name, shop.namespace)["spec"]
        assert scaler["behavior"]["scaleDown"].items() >= window.items()
        shop.apply(**fixed)
        api.wait_gone("HorizontalPodAutoscaler", name, shop.namespace)
        shop.wait(lambda it: it.get("replicas") == 3)
        api.wait("Deployment", name, shop.namespace, lambda it: it["spec"]["replicas"] == 3)
    changes = [now for before, now in pairwise(seen) if now != before]
    assert (seen[0], changes) == (3, [4, 3])


def test_another_autoscaler_scales_the_serving_itself(shop: ClusterServing) -> None:
    """As KEDA's does, which makes such an autoscaler for what a ScaledObject names."""
    start_metrics(shop.cluster)
    set_usage(shop.cluster, shop.namespace, cpu="1500m")
    shop.apply(program=server("one"))
    shop.wait_ready()
    cpu = {"name": "cpu", "target": {"type": "AverageValue", "averageValue": "800m"}}
    target = {"apiVersion": "lykeion.github.io/v1alpha1", "kind": "Serving", "name": "shop"}
    spec = {"scaleTargetRef": target, "maxReplicas": 3, "metrics": [{"type": "Resource", "resource": cpu}]}
    metadata = {"name": "theirs", "namespace": shop.namespace}
    shop.cluster.api.create(
        {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": metadata, "spec": spec}
    )
    shop.wait(lambda it: it.get("replicas") == 3 and it.get("ready") == 3)
    assert [each["spec"]["replicas"] for each in shop.deployments()] == [3]
