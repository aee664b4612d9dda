"""Documents of pods and what becomes of them, for tests on a cluster."""

from typing import Any

from .kubernetes_api import Object
from .kubernetes_cluster import Cluster


def pod(name: str, *script: str, **spec: Any) -> Object:
    """A pod with one container, which runs a shell script with this machine's programs."""
    containers = [shell(*script) | spec.pop("container", {})]
    whole = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 5, "containers": containers, **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": whole}


def shell(*script: str, name: str = "main", **fields: Any) -> Object:
    """A container."""
    return {"name": name, "image": "host.local/shell", "command": ["sh", "-c", "\n".join(script)], **fields}


def created(cluster: Cluster, namespace: str, document: Object) -> Object:
    document["metadata"]["namespace"] = namespace
    return cluster.api.create(document)


def ended(cluster: Cluster, namespace: str, document: Object) -> Object:
    """The status of a pod when it has ended."""
    created(cluster, namespace, document)
    name = document["metadata"]["name"]
    return cluster.api.wait("Pod", name, namespace, has_ended)["status"]


def has_ended(it: Object) -> bool:
    return it.get("status", {}).get("phase") in ("Succeeded", "Failed")


def runs(it: Object) -> bool:
    return it.get("status", {}).get("phase") == "Running"


def main_status(it: Object) -> Object:
    """The status of a pod's first container; {} before it has one."""
    return next(iter(it.get("status", {}).get("containerStatuses", ())), {})


def terminated(status: Object, name: str = "main") -> Object:
    """How a container of a pod's status ended."""
    both = [*status.get("containerStatuses", ()), *status.get("initContainerStatuses", ())]
    return next(it["state"]["terminated"] for it in both if it["name"] == name)


def waiting_reason(it: Object) -> str:
    return main_status(it).get("state", {}).get("waiting", {}).get("reason", "")


def deleted(cluster: Cluster, namespace: str, name: str, **options: Any) -> Object:
    """Delete a pod; the last that is seen of it before it is gone."""
    with cluster.api.watch("Pod", namespace, fields=f"metadata.name={name}") as states:
        cluster.api.delete("Pod", name, namespace, **options)
        last: Object = {}
        for found in states:
            if name not in found:
                return last
            last = found[name]
    raise AssertionError(f"the pod {name} is still there:\n{last}")


_SERVER = """
import http.server, signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_response(200)
        self.send_header("content-length", str(len(sys.argv[1])))
        self.end_headers()
        self.wfile.write(sys.argv[1].encode())
http.server.ThreadingHTTPServer(("0.0.0.0", 8000), Handler).serve_forever()
"""


def web_server(answer: str) -> Object:
    """A container that answers every GET on port 8000 so, and is ready when it listens."""
    probe = {"tcpSocket": {"port": 8000}, "periodSeconds": 1}
    command = ["python", "-c", _SERVER, answer]
    return {"name": "main", "image": "host.local/python", "command": command, "readinessProbe": probe}


def job(name: str, namespace: str, template: Object, **spec: Any) -> Object:
    """``template`` is the pod's spec."""
    metadata = {"name": name, "namespace": namespace}
    whole = {**spec, "template": {"spec": template}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": whole}


def deployment(name: str, namespace: str, container: Object, replicas: int = 1, **spec: Any) -> Object:
    """Its pods have the label ``app``."""
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}}
    whole = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template, **spec}
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": whole}


def service(name: str, namespace: str, port: int, target: int, **spec: Any) -> Object:
    whole = {"selector": {"app": name}, "ports": [{"port": port, "targetPort": target}], **spec}
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": whole}
