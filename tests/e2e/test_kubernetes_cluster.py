"""What a cluster of the tests promises: restarts, lost nodes, users with few rights, images, nothing left over."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from benchmarks.measuring.docker_registry import PROGRAM, docker_registry
from lykeion.core import SILENT
from lykeion.images import build_volume, push_image
from lykeion.images.registries import image_reference
from lykeion.oci import Layout

from .kubernetes_api import Object, condition
from .kubernetes_cluster import Cluster, kubernetes_cluster
from .pod_documents import created, deployment, ended, has_ended, pod, runs, shell, terminated, waiting_reason
from .process_node.handle import ProcessNode, process_node
from .translated_works import keeps

WAITS = "trap 'exit 0' TERM; while true; do sleep .1; done"


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Cluster, ProcessNode, ProcessNode]]:
    """A cluster to be harmed, without image volumes, and its two nodes."""
    place = tmp_path_factory.mktemp("own") / "cluster"
    with (
        kubernetes_cluster(place, gates={"ImageVolume": False}, crds=False) as cluster,
        process_node(cluster, "a") as first,
        process_node(cluster, "b") as second,
    ):
        yield cluster, first, second


def test_pods_go_on_while_the_api_server_is_killed(own: tuple[Cluster, ProcessNode, ProcessNode]) -> None:
    cluster, _, _ = own
    namespace = cluster.namespace("restart")
    volumes, mounts = [{"name": "v", "hostPath": {"path": str(cluster.place)}}], [{"name": "v", "mountPath": "/v"}]
    script = "until test -e /v/go; do sleep .1; done; touch /v/went"
    created(cluster, namespace, pod("p", script, volumes=volumes, container={"volumeMounts": mounts}))
    cluster.api.wait("Pod", "p", namespace, runs)
    cluster.kill_api()
    with pytest.raises(httpx.TransportError):
        cluster.api.get("Pod", "p", namespace)
    (cluster.place / "go").touch()
    while not (cluster.place / "went").exists():
        time.sleep(0.05)
    cluster.start_api()
    assert cluster.api.wait("Pod", "p", namespace, has_ended)["status"]["phase"] == "Succeeded"
    assert cluster.stop_api() == 0
    cluster.start_api()
    ended(cluster, namespace, pod("another", "true"))


def test_a_lost_nodes_pods_are_run_by_another(own: tuple[Cluster, ProcessNode, ProcessNode]) -> None:
    """https://kubernetes.io/docs/concepts/architecture/nodes/#node-controller"""
    cluster, first, _ = own
    namespace = cluster.namespace("lost")
    cluster.api.create(deployment("web", namespace, shell(WAITS), 2))
    on_nodes = {"a", "b"}
    cluster.api.wait_all("Pod", namespace, lambda them: {*map(node_of, filter(runs, them))} == on_nodes)
    first.kill()
    cluster.api.wait("Node", "a", None, lambda it: condition(it, "Ready") == "Unknown")
    cluster.api.wait_all(
        "Pod", namespace, lambda them: len([it for it in them if runs(it) and node_of(it) == "b"]) == 2, seconds=90
    )
    first.start()
    cluster.api.wait_all("Pod", namespace, lambda them: len(them) == 2)


def node_of(it: Object) -> str:
    return it["spec"].get("nodeName", "")


def test_a_silent_node_comes_back_with_its_pods(own: tuple[Cluster, ProcessNode, ProcessNode]) -> None:
    cluster, first, _ = own
    namespace = cluster.namespace("silent")
    tolerations = [
        {"key": f"node.kubernetes.io/{what}", "operator": "Exists", "effect": "NoExecute"}
        for what in ("unreachable", "not-ready")
    ]
    created(
        cluster, namespace, pod("p", WAITS, nodeSelector={"kubernetes.io/hostname": "a"}, tolerations=tolerations)
    )
    before = cluster.api.wait("Pod", "p", namespace, runs)
    first.pause()
    cluster.api.wait("Node", "a", None, lambda it: condition(it, "Ready") == "Unknown")
    cluster.api.wait("Pod", "p", namespace, lambda it: condition(it, "Ready") == "False")
    first.resume()
    first.wait_ready()
    after = cluster.api.wait("Pod", "p", namespace, lambda it: condition(it, "Ready") == "True")
    identities = [it["status"]["containerStatuses"][0]["containerID"] for it in (before, after)]
    assert identities[0] == identities[1]


@pytest.mark.parametrize(("policy", "phase", "restarts"), [("Never", "Failed", 0), ("Always", "Running", 1)])
def test_a_node_that_was_restarted_has_lost_its_containers(
    own: tuple[Cluster, ProcessNode, ProcessNode], policy: str, phase: str, restarts: int
) -> None:
    """https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#container-states, and TerminatePod in
    pkg/kubelet/status/status_manager.go"""
    cluster, first, _ = own
    namespace = cluster.namespace(f"reboot-{policy.lower()}")
    selector = {"kubernetes.io/hostname": "a"}
    created(cluster, namespace, pod("p", WAITS, nodeSelector=selector, restartPolicy=policy))
    cluster.api.wait("Pod", "p", namespace, runs)
    first.kill()
    first.start()

    def told(it: Object) -> bool:
        status = it["status"]["containerStatuses"][0]
        lost = {**status["lastState"], **status["state"]}.get("terminated", {}).get("reason")
        return (lost, it["status"]["phase"], status["restartCount"]) == ("ContainerStatusUnknown", phase, restarts)

    cluster.api.wait("Pod", "p", namespace, told)


def test_without_its_gate_an_image_volume_vanishes_in_silence_and_the_operator_knows(
    own: tuple[Cluster, ProcessNode, ProcessNode], monkeypatch: pytest.MonkeyPatch
) -> None:
    """https://kubernetes.io/docs/tasks/configure-pod-container/image-volumes/"""
    cluster, _, _ = own
    namespace = cluster.namespace("dropped")
    volumes = [{"name": "model", "image": {"reference": "layout.local/files:1"}}]
    made = created(cluster, namespace, pod("p", "true", volumes=volumes))
    assert "model" not in {it["name"] for it in made["spec"]["volumes"]}
    monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig))
    assert keeps(namespace) is False


def test_a_user_may_do_what_roles_bind(cluster: Cluster, namespace: str) -> None:
    """https://kubernetes.io/docs/reference/access-authn-authz/rbac/"""
    cluster.kubectl("create", "role", "reader", "--verb=list", "--resource=pods", "-n", namespace)
    cluster.kubectl("create", "rolebinding", "reader", "--role=reader", "--user=ann", "-n", namespace)
    cluster.kubectl(
        "create", "rolebinding", "account", "--role=reader", f"--serviceaccount={namespace}:default", "-n", namespace
    )
    for kubeconfig in (cluster.kubeconfig_of("ann"), cluster.kubeconfig_of_account("default", namespace)):
        cluster.kubectl("get", "pods", "-n", namespace, kubeconfig=kubeconfig)
        said = cluster.kubectl("get", "secrets", "-n", namespace, kubeconfig=kubeconfig, code=1)
        assert "Forbidden" in said
    entries = [it for it in cluster.audited() if it["user"]["username"] == "ann" and it["verb"] == "list"]
    codes = {(it["objectRef"]["resource"], it["responseStatus"]["code"]) for it in entries}
    assert codes == {("pods", 200), ("secrets", 403)}


@pytest.mark.skipif(PROGRAM is None, reason="needs Debian's docker-registry")
def test_an_image_is_pulled_from_a_registry_that_pods_reach(
    tmp_path: Path, own: tuple[Cluster, ProcessNode, ProcessNode]
) -> None:
    """A volume's image, run by a pod whose program is in it."""
    cluster, _, _ = own
    namespace = cluster.namespace("pulled")
    certificate, key = cluster.authority.issue("registry", "registry", hosts=(cluster.machine,))
    (tmp_path / "files").mkdir()
    (tmp_path / "files/model").write_text("weights")
    layout = Layout.open(tmp_path / "layout", create=True)
    image = build_volume(tmp_path / "files", layout, "files:1").descriptor
    (tmp_path / "registry").mkdir()
    trust = {"SSL_CERT_FILE": str(cluster.authority.certificate)}
    with (
        docker_registry(tmp_path / "registry", address=cluster.machine, tls=(certificate, key)) as host,
        pytest.MonkeyPatch.context() as patch,
        process_node(cluster, "c", environment=trust, labels={"pulls": "yes"}),
    ):
        for name, value in trust.items():
            patch.setenv(name, value)
        push_image(layout, image, image_reference(f"{host}/files:1"), reporter=SILENT)
        pulled = pod(
            "p", container={"image": f"{host}/files:1", "command": ["/model"]}, nodeSelector={"pulls": "yes"}
        )
        status = ended(cluster, namespace, pulled)
        assert terminated(status)["reason"] == "StartError"  # it is there, and no program
        assert status["containerStatuses"][0]["imageID"].endswith(image.digest)
        absent = pod("q", container={"image": f"{host}/files:2"}, nodeSelector={"pulls": "yes"})
        created(cluster, namespace, absent)
        cluster.api.wait("Pod", "q", namespace, lambda it: waiting_reason(it) == "ImagePullBackOff")


def test_a_pod_sees_the_files_of_an_image_volume(tmp_path: Path, cluster: Cluster, namespace: str) -> None:
    """https://kubernetes.io/docs/tasks/configure-pod-container/image-volumes/"""
    (tmp_path / "model").write_text("weights")
    layout = Layout.open(cluster.place / "images", create=True)
    build_volume(tmp_path, layout, "model:1")
    volumes = [{"name": "model", "image": {"reference": "layout.local/model:1"}}]
    mounts = [{"name": "model", "mountPath": "/model"}]
    script = "cat /model/model; touch /model/new 2>&1 | grep -o Read-only"
    ended(cluster, namespace, pod("p", script, volumes=volumes, container={"volumeMounts": mounts}))
    assert cluster.api.logs("p", namespace) == "weightsRead-only\n"


def test_pods_of_one_cluster_reach_the_other(
    cluster: Cluster, namespace: str, own: tuple[Cluster, ProcessNode, ProcessNode]
) -> None:
    other, _, _ = own
    said = ended(cluster, namespace, pod("p", f"curl -sk {other.server}/readyz"))
    assert (said["phase"], cluster.api.logs("p", namespace)) == ("Succeeded", "ok")


def test_what_is_missing_skips_a_test_and_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LYKEION_TEST_TOOLS", str(tmp_path))
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    with pytest.raises(pytest.skip.Exception, match=r"needs Go 1\.25"), kubernetes_cluster(tmp_path / "c"):
        pass


def test_nothing_is_left_of_a_cluster_whose_test_was_killed(tmp_path: Path) -> None:
    program = f"""
import sys, time
from pathlib import Path
from tests.e2e.kubernetes_cluster import kubernetes_cluster
from tests.e2e.process_node.handle import process_node
from tests.e2e.pod_documents import created, pod, runs
with kubernetes_cluster(Path({str(tmp_path / "c")!r}), crds=False) as cluster, process_node(cluster):
    created(cluster, "default", pod("p", "sleep 1000"))
    cluster.api.wait("Pod", "p", "default", runs)
    print("runs", flush=True)
    time.sleep(1000)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"runs\n"
        assert len(naming(tmp_path)) > 5
        process.send_signal(signal.SIGKILL)
    while naming(tmp_path):
        time.sleep(0.05)


def naming(place: Path) -> list[int]:
    """The processes whose command names a path."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if str(place).encode() in path.read_bytes() and int(path.parent.name) != os.getpid():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found
