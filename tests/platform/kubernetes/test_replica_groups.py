"""A ReplicaGroup in a cluster: its documents, what of them is changed, and its status."""

from dataclasses import replace
from typing import Any

import pytest
from msgspec import structs

from lykeion.control import Observed, condition_of
from lykeion.platform.controllers.serving_report import reported
from lykeion.platform.controllers.serving_view import ServingView
from lykeion.platform.kubernetes.objects.object_types import KubeObject
from lykeion.platform.kubernetes.servings.replica_group_objects import REPLICA_GROUPS
from lykeion.platform.policies.rollouts.serving_place import IN_A_CLUSTER
from lykeion.platform.resources.plain_kinds.replica_group import Readiness, ReplicaGroup
from lykeion.platform.resources.programs.program import AcceleratorRequest, Program, Requests
from lykeion.platform.resources.settings.cluster_profile import AcceleratorProfile, ClusterProfileSpec
from tests.platform.servings import NOON, serving

from .group_views import BY_CPU, FACTS, ON_GKE, Liveness, changed, group, indexed, is_as_pinned, kept, pod

PINNED = {
    "group": group(replicas=3, liveness=Liveness(path="/healthz"), drain_seconds=5),
    "group-scaled": group(replicas=3, autoscaling=BY_CPU),
    "group-with-index": indexed(),
    "group-following-index": indexed(follow_seconds=20),
}


@pytest.mark.parametrize("name", PINNED)
def test_the_documents_are_those_that_are_pinned(name: str) -> None:
    assert is_as_pinned(name, REPLICA_GROUPS.objects(PINNED[name], FACTS))


def _there(of: ReplicaGroup, **status: Any) -> list[KubeObject]:
    return kept(REPLICA_GROUPS.objects(of, FACTS), **status)


def _read(there: list[KubeObject]) -> ReplicaGroup:
    return REPLICA_GROUPS.resource_of(there[0], there[1:])


def _pod_spec(of: ReplicaGroup) -> dict[str, Any]:
    return REPLICA_GROUPS.objects(of, FACTS)[0]["spec"]["template"]["spec"]


@pytest.mark.parametrize("name", PINNED)
def test_a_group_is_read_back_as_it_was_written_and_then_nothing_is_changed(name: str) -> None:
    wanted = PINNED[name]
    there = _there(wanted)
    assert _read(there).spec == wanted.spec
    assert changed(REPLICA_GROUPS, there, wanted) == []


def test_what_others_and_the_server_have_added_is_left_alone() -> None:
    there = _there(group())
    for each in there:
        each["metadata"]["labels"]["team"] = "search"
        each["spec"]["added"] = {"by": "default"}
    assert changed(REPLICA_GROUPS, there, group()) == []


def test_a_fixed_number_of_replicas_is_patched_and_nothing_else() -> None:
    (change,) = REPLICA_GROUPS.changes(_there(group(replicas=1)), group(replicas=3), FACTS)
    assert change.verb == "merge"
    assert change.document["spec"] == {"replicas": 3}
    assert change.document["metadata"] == {"name": "shop-1", "uid": "uid-0"}


def test_replicas_that_another_has_changed_are_set_back_without_an_autoscaler() -> None:
    there = _there(group(replicas=3))
    there[0]["spec"]["replicas"] = 5
    assert _read(there).spec.replicas == 5
    assert changed(REPLICA_GROUPS, there, group(replicas=3)) == [("merge", "Deployment")]


def test_the_autoscalers_number_is_read_and_never_written() -> None:
    there = _there(group(replicas=2, autoscaling=BY_CPU))
    there[0]["spec"]["replicas"] = 4
    assert _read(there).spec.replicas == 4
    for replicas in (1, 2, 4, 8):
        assert changed(REPLICA_GROUPS, there, group(replicas=replicas, autoscaling=BY_CPU)) == []


def test_to_autoscaling_and_back_no_write_but_the_last_has_replicas() -> None:
    there, scaled = _there(group(replicas=3)), group(replicas=3, autoscaling=BY_CPU)
    to = REPLICA_GROUPS.changes(there, scaled, FACTS)
    assert [(each.verb, each.document["kind"]) for each in to] == [
        ("merge", "Deployment"),
        ("create", "HorizontalPodAutoscaler"),
    ]
    assert "spec" not in to[0].document
    there = _there(scaled)
    there[0]["spec"]["replicas"] = 6
    back = REPLICA_GROUPS.changes(there, group(replicas=3), FACTS)
    assert [(each.verb, each.document["kind"]) for each in back] == [
        ("delete", "HorizontalPodAutoscaler"),
        ("merge", "Deployment"),
    ]
    assert back[1].document["spec"] == {"replicas": 3}


def test_other_limits_of_the_autoscaler_are_applied_to_it_with_its_uid() -> None:
    there = _there(group(autoscaling=BY_CPU))
    (_, change) = REPLICA_GROUPS.changes(there, group(autoscaling=structs.replace(BY_CPU, max_replicas=9)), FACTS)
    assert (change.verb, change.document["kind"]) == ("apply", "HorizontalPodAutoscaler")
    assert change.document["metadata"]["uid"] == there[3]["metadata"]["uid"]
    assert change.document["spec"]["maxReplicas"] == 9


def test_another_release_of_the_operator_starts_no_replica_anew() -> None:
    served = indexed()
    later = replace(FACTS, image="registry.example.com/lykeion@sha256:" + "c" * 64)
    assert REPLICA_GROUPS.objects(served, later) != REPLICA_GROUPS.objects(served, FACTS)
    assert changed(REPLICA_GROUPS, _there(served), served, later) == []


def test_gkes_load_balancer_is_told_how_replicas_are_checked() -> None:
    probed, plain = group(readiness=Readiness(path="/readyz", period_seconds=5)), group(readiness=Readiness())
    policies = [REPLICA_GROUPS.objects(each, ON_GKE)[-1] for each in (probed, plain)]
    assert {each["kind"] for each in policies} == {"HealthCheckPolicy"}
    assert {each["spec"]["targetRef"]["name"] for each in policies} == {"shop-1"}
    check = policies[0]["spec"]["default"]
    assert check["config"]["httpHealthCheck"].items() >= {"host": "localhost", "requestPath": "/readyz"}.items()
    assert check["timeoutSec"] <= check["checkIntervalSec"] == 5
    assert policies[1]["spec"]["default"]["config"]["type"] == "TCP"
    assert changed(REPLICA_GROUPS, kept(REPLICA_GROUPS.objects(probed, ON_GKE)), probed, ON_GKE) == []


def test_what_was_deleted_by_another_is_made_again() -> None:
    there = _there(group())
    assert _read(there).metadata.labels == {}
    assert _read(there[:2]).metadata.labels  # no controller wants it, so that it is applied again
    for wanted in (group(), _read(there[:2])):
        assert changed(REPLICA_GROUPS, there[:2], wanted) == [("create", "PodDisruptionBudget")]


def test_a_replica_is_drained_before_it_is_told_to_end() -> None:
    spec = _pod_spec(group(drain_seconds=20, grace_period_seconds=7))
    assert spec["containers"][0]["lifecycle"] == {"preStop": {"sleep": {"seconds": 20}}}
    assert spec["terminationGracePeriodSeconds"] == 27
    at_once = _pod_spec(group(drain_seconds=0, grace_period_seconds=0))
    assert "lifecycle" not in at_once["containers"][0]
    assert at_once["terminationGracePeriodSeconds"] == 1


def test_credentials_are_mounted_where_the_index_is_fetched_and_not_beside_the_program() -> None:
    for spec in (_pod_spec(indexed()), _pod_spec(indexed(follow_seconds=20))):
        mounts = {
            each["name"]: {mount["name"] for mount in each["volumeMounts"]}
            for each in (*spec["initContainers"], *spec["containers"])
        }
        assert mounts.pop("program") == {"tmp", "artifact-0"}
        assert all(names == {"tmp", "artifact-0", "registry"} for names in mounts.values())
        assert {each["name"] for each in spec["volumes"]} == {"tmp", "artifact-0", "registry"}


def test_an_index_that_is_followed_is_there_first_and_then_kept_new_by_a_sidecar() -> None:
    first, sidecar = _pod_spec(indexed(follow_seconds=20))["initContainers"]
    assert "--once" in first["args"]
    assert "restartPolicy" not in first
    assert sidecar["args"][-3:] == ["--every", "20", "--quiet"]
    assert sidecar["restartPolicy"] == "Always"


def test_an_autoscaler_of_the_serving_itself_finds_the_pods_by_its_selector() -> None:
    shop = serving()
    view = ServingView(shop, Observed(), None, IN_A_CLUSTER)
    owned = replace(group(), metadata=structs.replace(group().metadata, owner_references=(shop.reference(),)))
    selector = reported(view, shop.status, NOON).selector
    labels = REPLICA_GROUPS.objects(owned, FACTS)[0]["spec"]["template"]["metadata"]["labels"]
    assert dict(each.split("=") for each in selector.split(",")).items() <= labels.items()


def test_the_status_is_that_of_the_deployment_and_its_pods() -> None:
    ended = {"exitCode": 3, "reason": "Error", "finishedAt": "2026-11-01T12:05:00Z", "message": "one\ncannot read\n"}
    one = group(replicas=3)
    container = {"name": "program", "restartCount": 2, "state": {"running": {}}, "lastState": {"terminated": ended}}
    there = _there(one, replicas=3, readyReplicas=2)
    status = _read([*there, pod(one, phase="Running", containerStatuses=[container])]).status
    assert (status.replicas, status.ready, status.restarts) == (3, 2, 2)
    assert status.last_exit == "exit code 3: cannot read"
    assert status.last_exit_time
    assert status.last_exit_time.minute == 5
    unschedulable = condition_of(status.conditions, "Unschedulable")
    assert unschedulable
    assert (unschedulable.status, unschedulable.reason) == ("False", "Fits")


def test_a_registry_that_fails_for_a_while_is_told_and_is_no_crash_of_the_program() -> None:
    one = indexed()
    failed = {"exitCode": 2, "reason": "Error", "finishedAt": "2026-11-01T12:05:00Z", "message": "error: no answer"}
    waiting = {"waiting": {"reason": "CrashLoopBackOff"}}
    fetch = {
        "name": "fetch-artifact-0", "restartCount": 3, "state": waiting, "lastState": {"terminated": failed}
    }  # fmt: skip
    status = _read([*_there(one), pod(one, phase="Pending", initContainerStatuses=[fetch])]).status
    assert (status.restarts, status.ready) == (0, 0)
    assert status.last_exit == "fetch-artifact-0: exit code 2: error: no answer"


WAITS = {
    "NoRoom": {
        "conditions": [
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes",
             "lastTransitionTime": "2026-11-01T12:00:02Z"}
        ]
    },
    "ImageNotPulled": {
        "containerStatuses": [
            {"name": "program", "image": "shop:v1", "restartCount": 0,
             "state": {"waiting": {"reason": "ImagePullBackOff", "message": "not found"}}}
        ]
    },
    "NoValue": {
        "containerStatuses": [
            {"name": "program", "image": "shop:v1", "restartCount": 0,
             "state": {"waiting": {"reason": "CreateContainerConfigError", "message": 'secret "key" not found'}}}
        ]
    },
    "ImageNotPulled of what fetches": {
        "initContainerStatuses": [
            {"name": "fetch-artifact-0", "image": "lykeion:1", "restartCount": 0,
             "state": {"waiting": {"reason": "ErrImagePull", "message": "not found"}}}
        ]
    },
}  # fmt: skip


@pytest.mark.parametrize("reason", WAITS)
def test_why_a_pod_does_not_start_is_a_condition_with_the_cause(reason: str) -> None:
    one = group()
    status = _read([*_there(one), pod(one, phase="Pending", **WAITS[reason])]).status
    found = condition_of(status.conditions, "Unschedulable")
    assert found
    assert (found.status, found.reason) == ("True", reason.split()[0])
    assert found.message


def test_a_quota_that_is_used_up_is_a_condition_with_the_cause() -> None:
    failure = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota: small"}
    found = condition_of(_read(_there(group(), conditions=[failure])).status.conditions, "Unschedulable")
    assert found
    assert found.message == "no pod can be created: exceeded quota: small"


def test_what_the_cluster_has_not_waits_without_replicas_until_it_has() -> None:
    needy = Program(image="shop:v1", resources=Requests(accelerator=AcceleratorRequest(type="t4")))
    for scaling in (None, BY_CPU):
        wanted = group(program=needy, replicas=2, autoscaling=scaling)
        there = _there(wanted)
        waiting = _read(there)
        found = condition_of(waiting.status.conditions, "Unschedulable")
        assert found
        assert (found.status, found.reason) == ("True", "Unsupported")
        assert "no accelerator t4" in found.message
        assert waiting.spec != wanted.spec  # so that its controller applies it
        assert [each for each in changed(REPLICA_GROUPS, there, wanted) if each[1] == "Deployment"] == []
        gpu = AcceleratorProfile(name="t4", resource_name="nvidia.com/gpu")
        facts = replace(FACTS, profile=ClusterProfileSpec(accelerators=(gpu,)))
        patch = REPLICA_GROUPS.changes(there, wanted, facts)[0].document
        assert patch["spec"]["replicas"] == 2
        limits = patch["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]
        assert limits == {"nvidia.com/gpu": "1"}
        assert patch["metadata"]["annotations"]["lykeion.github.io/refused"] is None


def test_an_autoscaler_that_cannot_read_the_load_says_so() -> None:
    there = _there(group(autoscaling=BY_CPU))
    active = {
        "type": "ScalingActive",
        "status": "False",
        "reason": "FailedGetResourceMetric",
        "message": "no metrics",
    }
    there[3]["status"] = {"conditions": [active]}
    found = condition_of(_read(there).status.conditions, "Autoscaled")
    assert found
    assert (found.status, found.message) == ("False", "no metrics")
