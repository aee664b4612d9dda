"""The operator is installed, upgraded and removed by commands, in a cluster of its own."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lykeion.delivery.device_service import FLEET_KINDS
from lykeion.platform import DEFINED

from .kubernetes_cluster import Cluster, kubernetes_cluster
from .process_node.handle import process_node
from .serving import COMMAND

DIGEST = "sha256:" + "0" * 64
IMAGE = f"host.local/lykeion@{DIGEST}"
TRAINING = """apiVersion: lykeion.github.io/v1alpha1
kind: Training
metadata: {name: shoes, namespace: default}
spec: {program: {command: [sh, -c, echo fitted], pod: {runAsUser: 65532}}}
"""


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster without our definitions."""
    place = tmp_path_factory.mktemp("bare") / "cluster"
    with kubernetes_cluster(place, crds=False) as made, process_node(made):
        yield made


def lykeion(cluster: Cluster, *arguments: str, code: int = 0, **environment: str) -> str:
    """What the command prints, its error if it ends with one."""
    variables = {**os.environ, "KUBECONFIG": str(cluster.kubeconfig), **environment}
    done = subprocess.run([*COMMAND, *arguments], env=variables, capture_output=True, text=True)
    assert done.returncode == code, (arguments, done.stdout, done.stderr)
    return done.stderr if done.returncode else done.stdout


def status(cluster: Cluster) -> dict[str, Any]:
    return json.loads(lykeion(cluster, "operator", "status", "--json"))


def definitions(cluster: Cluster) -> list[str]:
    found = cluster.api.items("CustomResourceDefinition")
    return [it["metadata"]["name"] for it in found if it["spec"]["group"] == "lykeion.github.io"]


def test_nothing_is_installed_upgraded_or_removed_without_reason(bare: Cluster) -> None:
    assert status(bare)["operator"] == "not installed"
    assert "see lykeion operator install" in lykeion(bare, "operator", "upgrade", "--image", IMAGE, code=2)
    assert "the operator is not installed" in lykeion(bare, "operator", "uninstall", code=2)
    assert definitions(bare) == []


def test_a_dry_run_says_what_would_be_done_and_changes_nothing(bare: Cluster) -> None:
    printed = lykeion(bare, "operator", "install", "--image", IMAGE, "--dry-run")
    assert "customresourcedefinition/trainings.lykeion.github.io created" in printed
    assert "deployment/lykeion-operator created" in printed
    assert definitions(bare) == []
    assert bare.api.find("Namespace", "lykeion-system") is None


def test_a_context_that_is_not_there_is_an_error_of_one_line(bare: Cluster) -> None:
    said = lykeion(bare, "operator", "status", "--context", "prod", code=2)
    assert said == "error: no kubeconfig has the context 'prod'; list them: kubectl config get-contexts\n"
    assert said == lykeion(bare, "--context", "prod", "get", "trainings", code=2)


@pytest.fixture(scope="module")
def installed(bare: Cluster) -> Cluster:
    lykeion(bare, "operator", "install", "--image", IMAGE, "--profile", "kind")
    return bare


def test_what_is_installed_is_ready_and_has_all_definitions(installed: Cluster) -> None:
    found = status(installed)
    assert found["operator"] == "ready"
    assert found["profile"] == "kind"
    assert found["leader"].startswith("lykeion-operator-")
    assert found["clusterprofiles"] == 1
    assert sorted(definitions(installed)) == sorted(f"{kind.plural}.lykeion.github.io" for kind in DEFINED.values())


def test_who_may_view_or_edit_a_namespace_may_do_so_with_our_kinds(installed: Cluster) -> None:
    for user, role in (("viewer", "view"), ("editor", "edit")):
        installed.kubectl("create", "rolebinding", user, "-n", "default", f"--clusterrole={role}", f"--user={user}")
    training = TRAINING.replace("shoes", "seen")
    viewer, editor = (installed.kubeconfig_of(each) for each in ("viewer", "editor"))
    assert "forbidden" in installed.kubectl("apply", "-f", "-", text=training, kubeconfig=viewer, code=1)
    installed.kubectl("apply", "-f", "-", text=training, kubeconfig=editor)
    assert "seen" in installed.kubectl("get", "trainings", kubeconfig=viewer)
    status = ("patch", "training/seen", "--subresource=status", "--type=merge", "-p", '{"status": {"attempts": 7}}')
    assert "forbidden" in installed.kubectl(*status, kubeconfig=editor, code=1)
    installed.kubectl("delete", "training/seen", kubeconfig=editor)


def test_installing_again_changes_nothing(installed: Cluster) -> None:
    printed = lykeion(installed, "operator", "install", "--image", IMAGE, "--profile", "kind").splitlines()
    changed = [line for line in printed if not line.endswith((" unchanged", " kept", " ready"))]
    assert changed == []


ROLLOUT = """apiVersion: lykeion.github.io/v1alpha1
kind: Rollout
metadata: {name: next, namespace: default}
spec: {model: shoes, version: v2, waves: [{percent: 100}]}
"""
OF_A_FLEET = [f"{each.plural}.lykeion.github.io" for each in FLEET_KINDS.values()]


def test_the_kinds_of_a_fleet_come_by_an_option_and_stay_at_an_upgrade(installed: Cluster) -> None:
    assert not set(OF_A_FLEET) & set(definitions(installed))
    lykeion(installed, "get", "all", LYKEION_CONTEXT="tests")
    printed = lykeion(installed, "operator", "install", "--image", IMAGE, "--profile", "kind", "--fleet")
    assert "customresourcedefinition/rollouts.lykeion.github.io created" in printed
    assert "clusterrole/lykeion-fleet created" in printed
    installed.kubectl("apply", "-f", "-", text=ROLLOUT)
    assert "rollout.lykeion.github.io/next" in installed.kubectl("get", "lykeion", "-o", "name")
    assert "next" in lykeion(installed, "get", "all", LYKEION_CONTEXT="tests")
    assert status(installed)["rollouts"] == 1
    for command in (("upgrade",), ("install", "--profile", "kind")):
        printed = lykeion(installed, "operator", *command, "--image", IMAGE)
        assert "customresourcedefinition/rollouts.lykeion.github.io unchanged" in printed
        assert "clusterrole/lykeion-fleet unchanged" in printed
    said = lykeion(installed, "operator", "uninstall", code=2)
    assert "there are 1 rollout; --delete-resources deletes them" in said
    installed.kubectl("delete", "rollout/next")


def test_a_changed_profile_stays_as_it_is(installed: Cluster) -> None:
    change = {"spec": {"registryPrefix": "registry.example.com/shop", "storage": {"className": "process-node"}}}
    installed.api.patch("ClusterProfile", "this-cluster", None, change)
    assert "clusterprofile/this-cluster kept" in lykeion(installed, "operator", "upgrade", "--image", IMAGE)
    assert (
        installed.api.get("ClusterProfile", "this-cluster")["spec"]["registryPrefix"] == "registry.example.com/shop"
    )
    assert status(installed)["registry"] == "registry.example.com/shop"


def test_a_second_operator_in_another_namespace_is_refused(installed: Cluster) -> None:
    said = lykeion(installed, "operator", "install", "--image", IMAGE, "--namespace", "other", code=2)
    assert "the operator is in the namespace lykeion-system; uninstall it first" in said


def test_an_image_that_cannot_be_pulled_is_named(installed: Cluster) -> None:
    missing = f"layout.local/missing@{DIGEST}"
    said = lykeion(installed, "operator", "upgrade", "--image", missing, "--timeout", "5", code=2)
    assert "ErrImagePull" in said or "ImagePullBackOff" in said
    assert "missing" in said
    lykeion(installed, "operator", "upgrade", "--image", IMAGE)
    assert status(installed)["operator"] == "ready"


def test_an_upgrade_is_refused_where_stored_resources_would_become_invalid(installed: Cluster) -> None:
    """An older definition let in what this version refuses."""
    name = "trainings.lykeion.github.io"
    older = installed.api.get("CustomResourceDefinition", name)
    schema = older["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    before = json.dumps(schema["properties"]["spec"]["properties"]["workers"])
    schema["properties"]["spec"]["properties"]["workers"] = {"type": "integer"}
    schema["properties"]["spec"].pop("x-kubernetes-validations", None)
    installed.api.apply(_written(older))
    document = {
        "apiVersion": "lykeion.github.io/v1alpha1",
        "kind": "Training",
        "metadata": {"name": "huge", "namespace": "default"},
        "spec": {"program": {"command": ["a"]}, "workers": 100000, "suspend": True},
    }
    installed.api.create(document)
    said = lykeion(installed, "operator", "upgrade", "--image", IMAGE, code=2)
    assert "stored resources do not fit this version" in said
    assert "training/huge: spec: workers is '100000'; it must be a whole number from 1 to 1000" in said
    workers = installed.api.get("CustomResourceDefinition", name)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    assert workers["properties"]["spec"]["properties"]["workers"] == {"type": "integer"}
    installed.api.delete("Training", "huge", "default")
    installed.api.wait_gone("Training", "huge", "default")
    lykeion(installed, "operator", "upgrade", "--image", IMAGE)
    workers = installed.api.get("CustomResourceDefinition", name)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    assert json.dumps(workers["properties"]["spec"]["properties"]["workers"]) == before


@pytest.mark.parametrize("command", [["up"], ["down"], ["backup", "x"]])
def test_commands_of_this_machine_take_no_context(bare: Cluster, command: list[str]) -> None:
    said = lykeion(bare, "--context", "tests", *command, code=2)
    assert said == f"error: {command[0]} is of this machine; leave out --context\n"


def test_what_runs_goes_on_while_the_operator_is_replaced(installed: Cluster, tmp_path: Path) -> None:
    script = "while [ ! -e $LYKEION_RUN/go ]; do sleep 0.1; done"
    (tmp_path / "long.yaml").write_text(TRAINING.replace("shoes", "long").replace("echo fitted", f'"{script}"'))
    lykeion(installed, "apply", "-f", str(tmp_path / "long.yaml"), LYKEION_CONTEXT="tests")
    lykeion(installed, "wait", "training/long", "--for", "condition=Running", LYKEION_CONTEXT="tests")
    (pod,) = installed.api.items("Pod", "default")
    operators = {each["metadata"]["name"] for each in installed.api.items("Pod", "lykeion-system")}
    lykeion(installed, "operator", "upgrade", "--image", IMAGE.replace("lykeion@", "later@"))
    installed.api.wait_all("Pod", "lykeion-system", lambda them: len(them) == 1)
    assert not operators & {each["metadata"]["name"] for each in installed.api.items("Pod", "lykeion-system")}
    (after,) = installed.api.items("Pod", "default")
    assert after["metadata"]["uid"] == pod["metadata"]["uid"]
    claim = installed.api.items("PersistentVolumeClaim", "default")[0]["metadata"]["name"]
    _touch(installed, claim)
    lykeion(installed, "wait", "training/long", "--timeout", "60", LYKEION_CONTEXT="tests")
    assert installed.api.get("Training", "long", "default")["status"]["attempts"] == 1
    lykeion(installed, "delete", "training/long", LYKEION_CONTEXT="tests")
    installed.api.wait_gone("Training", "long", "default")


def _touch(cluster: Cluster, claim: str) -> None:
    """The file that ends the program, by another pod on the same volume."""
    mount = {"name": "run", "mountPath": "/run-directory"}
    container = {
        "name": "main", "image": "host.local/shell", "command": ["sh", "-c", "touch /run-directory/go"],
        "volumeMounts": [mount], "securityContext": {"runAsUser": 65532},
    }  # fmt: skip
    volume = {"name": "run", "persistentVolumeClaim": {"claimName": claim}}
    spec = {
        "restartPolicy": "Never",
        "containers": [container],
        "volumes": [volume],
        "securityContext": {"fsGroup": 65532},
    }
    metadata = {"name": "touch", "namespace": "default"}
    cluster.api.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    cluster.api.wait("Pod", "touch", "default", lambda it: it["status"].get("phase") == "Succeeded")
    cluster.api.delete("Pod", "touch", "default")


def test_resources_with_a_finalizer_are_not_orphaned(installed: Cluster, tmp_path: Path) -> None:
    (tmp_path / "held.yaml").write_text(TRAINING.replace("shoes", "held"))
    installed.kubectl("apply", "-f", str(tmp_path / "held.yaml"))
    finalizers = {"metadata": {"finalizers": ["lykeion.github.io/elsewhere"]}}
    installed.api.patch("Training", "held", "default", finalizers)
    installed.kubectl("scale", "-n", "lykeion-system", "deployment/lykeion-operator", "--replicas=0")
    said = lykeion(installed, "operator", "uninstall", "--delete-resources", code=2)
    assert "training/held has a finalizer that only the operator takes away" in said
    assert installed.api.get("Training", "held", "default")["metadata"].get("deletionTimestamp") is None
    installed.kubectl("patch", "training/held", "--type=merge", "-p", '{"metadata": {"finalizers": null}}')
    installed.api.delete("Training", "held", "default")
    lykeion(installed, "operator", "upgrade", "--image", IMAGE)


def test_uninstalling_is_refused_while_there_are_resources_and_then_removes_them_first(
    installed: Cluster, tmp_path: Path
) -> None:
    (tmp_path / "shoes.yaml").write_text(TRAINING)
    lykeion(installed, "apply", "-f", str(tmp_path / "shoes.yaml"), LYKEION_CONTEXT="tests")
    lykeion(installed, "wait", "training/shoes", "--timeout", "60", LYKEION_CONTEXT="tests")
    said = lykeion(installed, "operator", "uninstall", code=2)
    assert "there are 1 training; --delete-resources deletes them" in said
    assert status(installed)["operator"] == "ready"
    printed = lykeion(installed, "operator", "uninstall", "--delete-resources").splitlines()
    order = [
        "training/shoes deleted",
        "deployment/lykeion-operator deleted",
        "customresourcedefinition/trainings.lykeion.github.io deleted",
    ]
    assert [line for line in printed if line in order] == order
    assert definitions(installed) == []
    assert status(installed)["operator"] == "not installed"
    assert installed.api.items("Job", "default") == []


def _written(definition: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": definition["metadata"]["name"]}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": definition["kind"],
        "metadata": metadata,
        "spec": definition["spec"],
    }
