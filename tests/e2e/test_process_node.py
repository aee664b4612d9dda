"""What a ProcessNode promises, from the documentation of Kubernetes; each table names its page."""

from typing import Any

import httpx
import pytest

from .kubernetes_api import condition
from .kubernetes_cluster import Cluster

Object = dict[str, Any]


def pod(name: str, *script: str, **spec: Any) -> Object:
    """A pod with one container, which runs a shell script with this machine's programs."""
    container = {"name": "main", "image": "host.local/shell", "command": ["sh", "-c", "\n".join(script)]}
    container |= spec.pop("container", {})
    whole = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 5, "containers": [container], **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": whole}


def created(cluster: Cluster, namespace: str, document: Object) -> Object:
    document["metadata"]["namespace"] = namespace
    return cluster.api.create(document)


def ended(cluster: Cluster, namespace: str, document: Object) -> Object:
    """The status of a pod when it has ended."""
    created(cluster, namespace, document)
    name = document["metadata"]["name"]
    return cluster.api.wait("Pod", name, namespace, lambda it: it["status"].get("phase") in ("Succeeded", "Failed"))[
        "status"
    ]


@pytest.mark.parametrize(
    ("script", "phase", "code", "reason"),
    [
        ("exit 0", "Succeeded", 0, "Completed"),
        ("exit 3", "Failed", 3, "Error"),
        ("no-such-program", "Failed", 127, "Error"),
    ],
)
def test_a_pod_ends_with_its_program(
    cluster: Cluster, namespace: str, script: str, phase: str, code: int, reason: str
) -> None:
    """https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-phase"""
    status = ended(cluster, namespace, pod("p", script))
    terminated = status["containerStatuses"][0]["state"]["terminated"]
    assert (status["phase"], terminated["exitCode"], terminated["reason"]) == (phase, code, reason)


def test_an_indexed_job_gives_each_pod_its_value_of_a_config_map(cluster: Cluster, namespace: str) -> None:
    """https://kubernetes.io/docs/concepts/workloads/controllers/job/#completion-mode and
    https://kubernetes.io/docs/concepts/storage/volumes/#using-subpath-expanded-environment"""
    data = {"0": "left", "1": "right"}
    cluster.api.create(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "shards", "namespace": namespace},
            "data": data,
        }
    )
    index = "metadata.annotations['batch.kubernetes.io/job-completion-index']"
    container = {
        "name": "main",
        "image": "host.local/shell",
        "command": ["sh", "-c", "cat /lykeion/shard > $RESULT"],
        "terminationMessagePath": "/lykeion/result",
        "env": [
            {"name": "INDEX", "valueFrom": {"fieldRef": {"fieldPath": index}}},
            {"name": "RESULT", "value": "/lykeion/result"},
        ],
        "volumeMounts": [{"name": "shards", "mountPath": "/lykeion/shard", "subPathExpr": "$(INDEX)"}],
    }
    template = {
        "restartPolicy": "Never",
        "containers": [container],
        "volumes": [{"name": "shards", "configMap": {"name": "shards"}}],
    }
    cluster.api.create(job("both", namespace, template, completions=2, parallelism=2, completionMode="Indexed"))
    cluster.api.wait("Job", "both", namespace, lambda it: condition(it, "Complete") == "True")
    pods = cluster.api.items("Pod", namespace)
    said = {it["status"]["containerStatuses"][0]["state"]["terminated"]["message"] for it in pods}
    assert said == {"left", "right"}


def job(name: str, namespace: str, template: Object, **spec: Any) -> Object:
    metadata = {"name": name, "namespace": namespace}
    whole = {**spec, "template": {"spec": template}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": whole}


SERVER = """
import http.server, signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b"VERSION")
http.server.ThreadingHTTPServer(("0.0.0.0", 8000), Handler).serve_forever()
"""


def test_a_deployment_rolls_two_replicas_that_listen_on_the_same_port(cluster: Cluster, namespace: str) -> None:
    """https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#rolling-update-deployment"""

    def deployment(version: str) -> Object:
        container = {
            "name": "main",
            "image": "host.local/python",
            "command": ["python", "-c", SERVER.replace("VERSION", version)],
            "readinessProbe": {"httpGet": {"path": "/", "port": 8000}, "periodSeconds": 1},
        }
        template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container]}}
        spec = {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": template}
        metadata = {"name": "web", "namespace": namespace}
        return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}

    def rolled(it: Object) -> bool:
        status = it.get("status", {})
        counts = [status.get(key, 0) for key in ("updatedReplicas", "readyReplicas", "replicas")]
        return counts == [2, 2, 2] and status["observedGeneration"] == it["metadata"]["generation"]

    for version in ("one", "two"):
        cluster.api.apply(deployment(version))
        cluster.api.wait("Deployment", "web", namespace, rolled)
    pods = [it for it in cluster.api.items("Pod", namespace) if "deletionTimestamp" not in it["metadata"]]
    assert [httpx.get(f"http://{it['status']['podIP']}:8000").text for it in pods] == ["two", "two"]


def test_kubectl_shows_what_a_container_said(cluster: Cluster, namespace: str) -> None:
    """https://kubernetes.io/docs/reference/kubectl/generated/kubectl_logs/"""
    ended(cluster, namespace, pod("p", "echo hello; echo there >&2"))
    assert cluster.kubectl("logs", "p", "-n", namespace) == "hello\nthere\n"


def test_a_deleted_pod_gets_its_grace_period_and_is_then_gone(cluster: Cluster, namespace: str) -> None:
    """https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-termination"""
    created(cluster, namespace, pod("p", "trap 'echo bye; exit 0' TERM; while true; do sleep .1; done"))
    cluster.api.wait("Pod", "p", namespace, lambda it: it["status"].get("phase") == "Running")
    cluster.api.delete("Pod", "p", namespace)
    last: list[Object] = []
    cluster.api.wait("Pod", "p", namespace, lambda it: last.append(it) if it else True)
    terminated = last[-1]["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (terminated["exitCode"], last[-1]["status"]["phase"]) == (0, "Succeeded")
