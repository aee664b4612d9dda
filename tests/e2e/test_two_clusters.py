"""Two API servers: a pipeline trains in one and serves in the other; one is away for a while, or for good."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.measuring.docker_registry import PROGRAM, docker_registry
from lykeion.platform.kubernetes.installing.operator_rules import REMOTES
from lykeion.platform.kubernetes.objects.translation import CREDENTIALS

from .cluster_servings import ClusterServing, true
from .kubernetes_api import Object
from .kubernetes_cluster import kubernetes_cluster
from .process_node.handle import process_node
from .two_clusters import SHELL, TwoClusters, step, two_clusters

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(PROGRAM is None, reason="needs Debian's docker-registry"),
]
INDEX = Path(__file__).parents[1] / "fixtures" / "index-v1"
STEPS = "system:serviceaccount:{}:lykeion-steps"


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoClusters]:
    place = tmp_path_factory.mktemp("two")
    with (
        kubernetes_cluster(place / "gke") as gke,
        kubernetes_cluster(place / "eks") as eks,
        process_node(gke),
        process_node(eks),
        docker_registry(tmp_path_factory.mktemp("registry"), address=gke.machine) as registry,
        two_clusters(gke, eks, place, registry) as made,
    ):
        yield made


def _runs_made(both: TwoClusters, namespace: str) -> list[Object]:
    """By requests that succeeded, in the other cluster."""
    found = [each for each in both.eks.audited() if each.get("objectRef", {}).get("resource") == "pipelineruns"]
    return [
        each
        for each in found
        if each["verb"] == "create"
        and each["objectRef"].get("namespace") == namespace
        and each["responseStatus"]["code"] < 300
    ]


def test_a_pipeline_trains_in_one_and_what_it_publishes_is_served_in_the_other(both: TwoClusters) -> None:
    there = both.connect("shop")
    name = f"{both.registry}/shop/index:current"
    training: dict[str, Any] = {
        "program": {**SHELL, "command": ["sh", "-c", f"cp -r {INDEX} $LYKEION_OUTPUTS/index"]},
        "outputs": [{"name": "index", "publish": name}],
    }
    read = {"name": "index", "artifact": "$(steps.train.outputs.index)"}
    both.run(
        "shop",
        {"name": "train", "cluster": "eks", "training": training},
        step("check", "ls $LYKEION_INPUTS/index", inputs=[read]),
    )
    ended = both.wait("shop", "Complete")
    first, second = ended["status"]["steps"]
    assert f"{both.registry}/shop/" in first["outputs"]["index"]
    assert "@sha256:" in first["outputs"]["index"]
    assert (first["cluster"], second.get("cluster", "")) == ("eks", "")
    assert both.eks.api.items("Training", there)
    assert both.gke.api.items("Training", "shop") == []
    serving = ClusterServing(both.gke, "shop")
    pod = {"runAsUser": 65532}
    serving.apply(index={"reference": name, "checkSeconds": 5, "pod": pod})
    status = serving.wait(lambda it: true(it, "Ready"), seconds=180)
    assert status["stable"]["artifact"].rpartition("@")[2] == first["outputs"]["index"].rpartition("@")[2]
    both.command("--context", "gke", "delete", "run/night", "-n", "shop")
    both.gke.api.wait_gone("PipelineRun", "night", "shop")
    assert both.eks.api.items("PipelineRun", there) == []


def test_a_suspended_run_suspends_its_step_in_the_other_cluster(both: TwoClusters) -> None:
    there = both.connect("suspended")
    both.run("suspended", step("train", "sleep 600", cluster="eks"))
    both.wait_there(there, "Running")
    both.command("--context", "gke", "suspend", "run/night", "-n", "suspended")
    both.eks.api.wait_all("PipelineRun", there, lambda them: all(each["spec"].get("suspend") for each in them))
    both.command("--context", "gke", "delete", "run/night", "-n", "suspended")
    both.gke.api.wait_gone("PipelineRun", "night", "suspended")


def test_a_cluster_that_is_away_for_a_while_is_named_and_its_step_is_run_once(both: TwoClusters) -> None:
    there = both.connect("while")
    both.run("while", step("train", "sleep 3", cluster="eks"))
    both.wait_there(there, "Running")
    both.eks.kill_api()
    said = both.wait("while", "Unreachable")
    (unreachable,) = (each for each in said["status"]["conditions"] if each["type"] == "Unreachable")
    assert "the cluster eks: " in unreachable["message"]
    assert unreachable["reason"] == "NoAnswer"
    both.return_eks()
    ended = both.wait("while", "Complete")
    assert [each["phase"] for each in ended["status"]["steps"]] == ["Succeeded"]
    both.wait("while", "Unreachable", "False")
    assert len(_runs_made(both, there)) == 1


def test_a_run_whose_cluster_is_gone_for_good_is_released_by_force_and_what_it_left_is_swept(
    both: TwoClusters,
) -> None:
    there = both.connect("good")
    both.run("good", step("train", "sleep 600", cluster="eks"))
    both.wait_there(there, "Running")
    both.eks.kill_api()
    both.command("--context", "gke", "delete", "run/night", "-n", "good")
    held = both.wait("good", "Unreachable")
    assert held["metadata"]["deletionTimestamp"]
    said = both.command("--context", "gke", "delete", "run/night", "-n", "good", "--force-release")
    assert "in the cluster eks is left" in said
    assert both.gke.api.find("PipelineRun", "night", "good") is None
    both.return_eks()
    both.eks.api.wait_all("PipelineRun", there, lambda them: not them, seconds=120)
    both.eks.api.wait_all("Pod", there, lambda them: not them)


def test_credentials_are_read_only_where_the_namespace_lets_the_operator(both: TwoClusters) -> None:
    both.give_credentials("closed")
    both.run("closed", step("train", "true", cluster="eks"))
    said = both.wait("closed", "Unreachable")
    (unreachable,) = (each for each in said["status"]["conditions"] if each["type"] == "Unreachable")
    assert unreachable["reason"] == "Refused"
    assert "bind the ClusterRole lykeion-clusters there" in unreachable["message"]
    both.command("--context", "gke", "delete", "run/night", "-n", "closed", "--force-release")
    read = [each for each in both.gke.audited() if each.get("objectRef", {}).get("resource") == "secrets"]
    operators = [each for each in read if each["user"]["username"].endswith(":lykeion-operator")]
    assert {each["objectRef"]["name"] for each in operators} == {CREDENTIALS}
    assert {each["verb"] for each in operators} == {"get"}
    refused = {each["objectRef"]["namespace"] for each in operators if each["responseStatus"]["code"] == 403}
    assert refused == {"closed"}


def test_a_namespace_that_the_profile_does_not_allow_is_refused(both: TwoClusters) -> None:
    both.gke.namespace("stranger")
    both.run("stranger", step("train", "true", cluster="eks"))
    failed = both.wait("stranger", "Failed")
    (condition,) = (each for each in failed["status"]["conditions"] if each["type"] == "Failed")
    assert "does not let the namespace stranger use a cluster eks" in condition["message"]


def test_the_account_in_the_other_cluster_has_the_rights_that_it_needs_and_no_others(both: TwoClusters) -> None:
    accounts = {STEPS.format(f"{each}-steps") for each in ("shop", "suspended", "while", "good")}
    used = [each for each in both.eks.audited() if each["user"]["username"] in accounts and "objectRef" in each]
    granted = {(resource, verb) for rule in REMOTES for resource in rule.resources for verb in rule.verbs}
    assert {(each["objectRef"]["resource"], each["verb"]) for each in used} == granted
    for number, each in enumerate(used):  # a server that has just started does not know its roles yet
        later = [_asked(it) for it in used[number:] if it["responseStatus"]["code"] < 300]
        assert each["responseStatus"]["code"] != 403 or _asked(each) in later, each


def _asked(request: Object) -> tuple[str, str, str]:
    what = request["objectRef"]
    return request["user"]["username"], what["resource"], request["verb"]


def test_uninstalling_removes_what_connecting_has_made_and_names_what_others_have_written(both: TwoClusters) -> None:
    # this operator is a program beside the cluster: uninstalling waits for none, and no run may need one
    both.gke.kubectl("delete", "pipelineruns", "--all", "--all-namespaces", "--timeout=120s")
    own = {"data": {"aks": "e30="}}
    both.gke.kubectl("patch", "secret", CREDENTIALS, "-n", "good", "--type=merge", "-p", json.dumps(own))
    both.gke.kubectl(
        "create", "rolebinding", CREDENTIALS, "-n", "closed", f"--clusterrole={CREDENTIALS}",
        "--serviceaccount=lykeion-system:lykeion-operator",
    )  # fmt: skip
    for name in ("gke", "eks"):
        printed = both.command("operator", "uninstall", "--context", name, "--delete-resources").splitlines()
        left = [line for line in printed if " kept, since others have written it; delete it by: " in line]
        if name == "gke":
            assert "secret/lykeion-clusters in shop deleted" in printed
            assert sorted(line.partition("delete it by: ")[2] for line in left) == [
                "kubectl delete rolebinding lykeion-clusters -n closed",
                "kubectl delete secret lykeion-clusters -n closed",
                "kubectl delete secret lykeion-clusters -n good",
            ]
        else:
            assert left == []
    kept = [each["metadata"]["namespace"] for each in both.gke.api.items("Secret")
            if each["metadata"]["name"] == CREDENTIALS]  # fmt: skip
    assert kept == ["closed", "good"]
    named = {each["metadata"]["name"] for kind in ("Secret", "ServiceAccount", "Role", "RoleBinding")
             for each in both.eks.api.items(kind)}  # fmt: skip
    assert "lykeion-steps" not in named
