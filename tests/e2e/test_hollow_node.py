"""A ProcessNode writes what Kubernetes' own kubelet writes of the same pods, as far as a hollow runtime can show it.

Without the controllers: they would write into the same statuses, and 10 s between two heartbeats, which are a
kubelet's, are the end of a node in clusters of the tests.
"""

from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

from .hollow_node import hollow_node
from .kubernetes_api import Object, condition
from .kubernetes_cluster import Cluster, kubernetes_cluster
from .platform_machine import until
from .pod_documents import pod, runs, shell
from .process_node.handle import process_node

pytestmark = pytest.mark.slow
NODES = ("node-0", "hollow")
STAYS = "trap 'exit 0' TERM; while true; do sleep .05; done"


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Generator[Cluster]:
    """A cluster with a node of each kind."""
    place: Path = tmp_path_factory.mktemp("hollow") / "cluster"
    with kubernetes_cluster(place, crds=False) as made, process_node(made), hollow_node(made):
        made.namespace("pods")
        made.programs["kube-controller-manager"].kill()
        yield made


def _ready(it: Object) -> bool:
    return runs(it) and condition(it, "Ready") == "True"


def _containers_run(it: Object) -> bool:
    return runs(it) and condition(it, "ContainersReady") == "True"


def _init_runs(it: Object) -> bool:
    statuses = it.get("status", {}).get("initContainerStatuses", ())
    return any("running" in each["state"] for each in statuses)


def _has_address(it: Object) -> bool:
    return condition(it, "PodReadyToStartContainers") == "False" and "containerStatuses" in it["status"]


def _has_failed(it: Object) -> bool:
    return it.get("status", {}).get("phase") == "Failed"


STAY = shell(STAYS)
SECRET = [{"name": "key", "secret": {"secretName": "absent"}}]
PODS: dict[str, tuple[Object, Callable[[Object], bool]]] = {
    "one-container": ({}, _ready),
    "two-containers": ({"containers": [STAY, shell(STAYS, name="other")]}, _ready),
    "always-restarted": ({"restartPolicy": "Always"}, _ready),
    "host-network": ({"hostNetwork": True}, _ready),
    "readiness-gate": ({"readinessGates": [{"conditionType": "example.com/in"}]}, _containers_run),
    "init-container-that-runs": ({"initContainers": [shell(STAYS, name="first")]}, _init_runs),
    "second-init-container": (
        {"initContainers": [shell(STAYS, name="first"), shell("true", name="second")]},
        _init_runs,
    ),
    "absent-secret": ({"volumes": SECRET}, _has_address),
    "deadline": ({"activeDeadlineSeconds": 8}, _has_failed),
}


@pytest.mark.parametrize("name", PODS)
def test_a_pod_comes_to_the_same_status_by_the_same_conditions(both: Cluster, name: str) -> None:
    fields, holds = PODS[name]
    hollow, ours = (_followed(both, f"{name}-{node}", node, fields, holds) for node in reversed(NODES))
    assert shown(ours[-1]) == shown(hollow[-1])
    assert _phases(ours) == _phases(hollow)
    assert not _later(ours) & {(later, first) for first, later in _later(hollow)}


@pytest.mark.parametrize("grace", [0, 1, 3])
def test_a_deleted_pod_is_told_of_in_the_same_way_until_it_is_gone(both: Cluster, grace: int) -> None:
    hollow, ours = (_removed(both, f"deleted-{grace}-{node}", node, grace) for node in reversed(NODES))
    assert ours == hollow


def test_an_evicted_pod_keeps_the_condition_that_says_so(both: Cluster) -> None:
    hollow, ours = (_removed(both, f"evicted-{node}", node, None) for node in reversed(NODES))
    for each in (hollow, ours):
        each["conditions"].sort()  # a kubelet writes those of others first
    assert ours == hollow
    assert any(each[:2] == ("DisruptionTarget", "True") for each in ours["conditions"])


def test_a_node_says_of_itself_what_a_kubelet_says(both: Cluster) -> None:
    ours, hollow = (both.api.get("Node", node)["status"] for node in NODES)
    assert _without_times(_of_type(ours, "Ready")) == _without_times(_of_type(hollow, "Ready"))
    assert set(ours["nodeInfo"]) <= set(hollow["nodeInfo"]) | {"kubeProxyVersion"}
    assert ours["nodeInfo"]["kubeletVersion"] == hollow["nodeInfo"]["kubeletVersion"]
    assert [it["type"] for it in ours["addresses"]] == [it["type"] for it in hollow["addresses"]]
    assert set(ours["allocatable"]) <= set(hollow["allocatable"])


def test_a_node_renews_a_lease_of_its_name_as_a_kubelet_does(both: Cluster) -> None:
    ours, hollow = (_lease(both, node) for node in NODES)
    assert ours["leaseDurationSeconds"] == hollow["leaseDurationSeconds"]
    assert [ours["holderIdentity"], hollow["holderIdentity"]] == [*NODES]
    for node, before in zip(NODES, (ours, hollow), strict=True):
        until(lambda node=node, before=before: _lease(both, node)["renewTime"] > before["renewTime"])


def _created(cluster: Cluster, document: Object, holds: Callable[[Object], bool]) -> Object:
    document["metadata"]["namespace"] = "pods"
    cluster.api.create(document)
    return cluster.api.wait("Pod", document["metadata"]["name"], "pods", holds)


def _document(name: str, node: str, fields: Object) -> Object:
    whole = {"automountServiceAccountToken": False, "terminationGracePeriodSeconds": 1, **fields}
    return pod(name, STAYS, nodeName=node, **whole)


def _followed(
    cluster: Cluster, name: str, node: str, fields: Object, holds: Callable[[Object], bool]
) -> list[Object]:
    """The states of a pod, up to the first that ``holds``; it is deleted then."""
    seen: list[Object] = []
    document = _document(name, node, fields)
    document["metadata"]["namespace"] = "pods"
    cluster.api.create(document)
    with cluster.api.watch("Pod", "pods", fields=f"metadata.name={name}") as states:
        for found in states:
            seen.append(found[name])
            if holds(found[name]):
                break
    cluster.api.delete("Pod", name, "pods", gracePeriodSeconds=0)
    assert holds(seen[-1]), seen[-1]
    return seen


def _removed(cluster: Cluster, name: str, node: str, grace: int | None) -> Object:
    """What is told last of a pod that is deleted, or evicted without ``grace``."""
    _created(cluster, _document(name, node, {}), _ready)
    last: Object = {}
    with cluster.api.watch("Pod", "pods", fields=f"metadata.name={name}") as states:
        if grace is None:
            cluster.api.evict(name, "pods")
        else:
            cluster.api.delete("Pod", name, "pods", gracePeriodSeconds=grace)
        for found in states:
            if name not in found:
                break
            last = found[name]
    assert "deletionTimestamp" in last["metadata"] or grace == 0
    return shown(last)


PROBED = ("Ready", "ContainersReady")
"""What a hollow node says too soon of pods that do not run yet: nothing is asked of its containers."""


def shown(it: Object) -> Object:
    """A status without times, addresses and names that differ between any two nodes."""
    status = it["status"]
    hidden = PROBED if status["phase"] == "Pending" else ()
    return {
        **{key: status.get(key) for key in ("phase", "reason", "message", "qosClass", "observedGeneration")},
        "has": sorted(key for key in ("hostIP", "hostIPs", "podIP", "podIPs", "startTime") if status.get(key)),
        "conditions": [_condition(each) for each in status["conditions"] if each["type"] not in hidden],
        "init": [_container(each) for each in status.get("initContainerStatuses", ())],
        "main": [_container(each) for each in status.get("containerStatuses", ())],
    }


def _condition(each: Object) -> tuple[Any, ...]:
    keys = ("type", "status", "reason", "message", "observedGeneration")
    return tuple(each.get(key) for key in keys)


def _container(each: Object) -> Object:
    """Without the reason of an end, of which a hollow runtime gives none, and what probes say."""
    states = {
        (key, name): {key: value for key, value in state.items() if key in ("exitCode", "message")}
        | ({"reason": state.get("reason")} if name == "waiting" else {})
        for key in ("state", "lastState")
        for name, state in each.get(key, {}).items()
    }
    return {"name": each["name"], "restartCount": each["restartCount"], "states": states}


def _phases(states: list[Object]) -> list[str]:
    return list(dict.fromkeys(it["status"]["phase"] for it in states))


def _later(states: list[Object]) -> set[tuple[str, str]]:
    """Pairs of conditions of which the second became true in a later write than the first."""
    first: dict[str, int] = {}
    for number, it in enumerate(states):
        for each in it["status"].get("conditions", ()):
            if each["status"] == "True" and each["type"] not in PROBED:
                first.setdefault(each["type"], number)
    return {(a, b) for a in first for b in first if first[a] < first[b]}


def _of_type(status: Object, type_: str) -> Object:
    return next(each for each in status["conditions"] if each["type"] == type_)


def _without_times(found: Object) -> Object:
    return {key: value for key, value in found.items() if not key.endswith("Time")}


def _lease(cluster: Cluster, node: str) -> Object:
    return cluster.api.get("Lease", node, "kube-node-lease")["spec"]
