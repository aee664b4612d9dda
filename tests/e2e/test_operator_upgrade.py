"""An earlier build, of a revision of this repository, is upgraded to this one while its resources run."""

import io
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from .cluster_operator import has_ended, training
from .cluster_servings import server
from .kubernetes_api import Object, condition
from .kubernetes_cluster import ROOT, Cluster, kubernetes_cluster
from .process_node.handle import process_node
from .process_node.node_images import PYTHON_PATH
from .test_operator_install import IMAGE, lykeion

pytestmark = pytest.mark.slow
EARLIER = "4110586"
"""The first whose operator has all the rights that it needs. Its definitions and its role differ from ours."""
UNTIL_RELEASED = "until test -e $LYKEION_RUN/go; do sleep 0.1; done; echo 1 > $LYKEION_RUN/end"
HEAD = {"apiVersion": "lykeion.github.io/v1alpha1"}
TESTS = "default"


@pytest.fixture(scope="module")
def earlier() -> Iterator[Path]:
    """The source of the earlier build, where pods see it."""
    archive = subprocess.run(["git", "archive", EARLIER, "src"], cwd=ROOT, capture_output=True)
    if archive.returncode:
        pytest.skip(f"needs the repository's history: {archive.stderr.decode().strip()}")
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="lykeion-earlier-") as made:
        Path(made).chmod(0o755)
        with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
            files.extractall(made, filter="data")
        yield Path(made) / "src"


def _batch(name: str, **spec: object) -> Object:
    program = {"command": ["sh", "-c", "echo $LYKEION_SHARD_INDEX"], "pod": {"runAsUser": 65532}}
    whole = {"program": program, "shards": {"count": 2}, **spec}
    return {**HEAD, "kind": "BatchExecution", "metadata": {"name": name, "namespace": TESTS}, "spec": whole}


def _serving() -> Object:
    metadata = {"name": "shop", "namespace": TESTS}
    return {**HEAD, "kind": "Serving", "metadata": metadata, "spec": {"program": server("one"), "replicas": 2}}


def _role(name: str) -> Object:
    labels = {"app.kubernetes.io/name": "lykeion", "app.kubernetes.io/part-of": "lykeion"}
    head = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role"}
    return {**head, "metadata": {"name": name, "namespace": "lykeion-system", "labels": labels}, "rules": []}


def _pods(cluster: Cluster, namespace: str = TESTS) -> dict[str, int]:
    """By UID, how often their containers were started again."""
    found = cluster.api.items("Pod", namespace)
    return {
        each["metadata"]["uid"]: sum(it["restartCount"] for it in each["status"].get("containerStatuses", ()))
        for each in found
        if each["status"]["phase"] == "Running"
    }


def _generations(cluster: Cluster) -> dict[str, tuple[str, int]]:
    return {
        f"{kind} {each['metadata']['name']}": (each["metadata"]["uid"], each["metadata"]["generation"])
        for kind in ("Deployment", "Job")
        for each in cluster.api.items(kind, TESTS)
    }


def test_what_an_earlier_build_runs_goes_on_and_what_it_alone_installs_is_deleted(
    earlier: Path, tmp_path: Path
) -> None:
    """Two nodes stand for two images: the one that was there runs programs of the earlier build."""
    with (
        kubernetes_cluster(tmp_path / "c", crds=False) as cluster,
        process_node(cluster, "old", environment={PYTHON_PATH: str(earlier)}),
    ):
        api = cluster.api
        lykeion(cluster, "operator", "install", "--image", IMAGE, "--timeout", "120", PYTHONPATH=str(earlier))
        storage = {"spec": {"storage": {"className": "process-node", "shared": True}}}
        api.patch("ClusterProfile", "this-cluster", None, storage)
        runs = training(UNTIL_RELEASED, TESTS, "runs")
        for document in (training("true", TESTS, "done"), runs, _batch("paused", suspend=True), _serving()):
            api.create(document)
        assert condition(api.wait("Training", "done", TESTS, has_ended), "Complete") == "True"
        for kind, name, type_ in (
            ("Training", "runs", "Running"),
            ("BatchExecution", "paused", "Suspended"),
            ("Serving", "shop", "Ready"),
        ):
            api.wait(kind, name, TESTS, lambda it, type_=type_: condition(it, type_) == "True")
        api.apply(_role("gone"), manager="lykeion-install")
        api.apply(_role("kept"), manager="kubectl")
        before, objects = _pods(cluster), _generations(cluster)
        ended = api.get("Training", "done", TESTS)["status"]
        with process_node(cluster, "new"):
            api.patch("Node", "old", None, {"spec": {"unschedulable": True}})
            upgrade = ("operator", "upgrade", "--image", IMAGE.replace("lykeion@", "later@"))
            printed = lykeion(cluster, *upgrade)
            assert "customresourcedefinition/pipelines.lykeion.github.io configured" in printed.splitlines()
            assert "role/gone deleted" in printed.splitlines()
            assert "role/kept deleted" not in printed.splitlines()
            assert api.find("Role", "gone", "lykeion-system") is None
            assert api.find("Role", "kept", "lykeion-system")
            again = lykeion(cluster, *upgrade, "--dry-run").splitlines()
            assert [line for line in again if not line.endswith((" unchanged", " kept"))] == []
            (operator,) = api.wait_all("Pod", "lykeion-system", lambda them: len(them) == 1)
            assert operator["spec"]["nodeName"] == "new"
            (Path(_volume(cluster, "runs")) / "go").touch()
            status = api.wait("Training", "runs", TESTS, has_ended)["status"]
            assert condition({"status": status}, "Complete") == "True"
            assert status["attempts"] == 1
            assert api.get("Training", "done", TESTS)["status"] == ended
            api.patch("BatchExecution", "paused", TESTS, {"spec": {"suspend": False}})
            api.wait("BatchExecution", "paused", TESTS, lambda it: condition(it, "Complete") == "True")
            left = _pods(cluster)
            assert left.items() <= before.items(), "no replica was started anew"
            assert len(left) == 2
            now = _generations(cluster)
            assert {name: now[name] for name in objects if "paused" not in name} == {
                name: each for name, each in objects.items() if "paused" not in name
            }
            api.patch("Serving", "shop", TESTS, {"spec": {"replicas": 3}})
            api.wait_all("Pod", TESTS, lambda _: len(_pods(cluster)) == 3)


def _volume(cluster: Cluster, training_: str) -> str:
    claims = cluster.api.items("PersistentVolumeClaim", TESTS)
    (claim,) = [each for each in claims if each["metadata"]["name"].startswith(f"{training_}-")]
    return cluster.api.get("PersistentVolume", claim["spec"]["volumeName"])["spec"]["hostPath"]["path"]
