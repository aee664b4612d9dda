"""The metrics API with what a test says: ``python -m tests.e2e.metrics_stub SETTINGS``.

Each container of each pod of a namespace uses what SETTINGS' ``usage`` file names for it: ``{"NAMESPACE": {"cpu":
"400m"}}``; nothing where none is named. After https://github.com/kubernetes/metrics, v1beta1.
"""

import json
import re
import ssl
import sys
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from .kubernetes_api import KubernetesApi

VERSION = "metrics.k8s.io/v1beta1"
RESOURCES = [
    {"name": "pods", "singularName": "", "namespaced": True, "kind": "PodMetrics", "verbs": ["get", "list"]},
    {"name": "nodes", "singularName": "", "namespaced": False, "kind": "NodeMetrics", "verbs": ["get", "list"]},
]


def main(settings: dict[str, Any]) -> None:
    api, usage = KubernetesApi(Path(settings["kubeconfig"])), Path(settings["usage"])

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            answer = _answer(self.path, api, usage)
            body = json.dumps(answer).encode()
            self.send_response(404 if answer is None else 200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer((settings["address"], settings["port"]), Handler)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(settings["certificate"], settings["key"])
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()


def _answer(target: str, api: KubernetesApi, usage: Path) -> Any:
    url = urlsplit(target)
    if url.path in ("/readyz", f"/apis/{VERSION}"):
        return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": VERSION, "resources": RESOURCES}
    if found := re.fullmatch(f"/apis/{VERSION}(?:/namespaces/([^/]+))?/pods", url.path):
        labels = parse_qs(url.query).get("labelSelector", [""])[0]
        used = json.loads(usage.read_text())
        pods = api.items("Pod", found[1], labels=labels)
        items = [_of(pod, used.get(pod["metadata"]["namespace"], {})) for pod in pods if _counts(pod)]
        return {"kind": "PodMetricsList", "apiVersion": VERSION, "metadata": {}, "items": items}
    return None


def _counts(pod: dict[str, Any]) -> bool:
    return pod.get("status", {}).get("phase") == "Running"


def _of(pod: dict[str, Any], used: dict[str, str]) -> dict[str, Any]:
    metadata = {key: pod["metadata"].get(key) for key in ("name", "namespace", "labels")}
    containers = [
        {"name": it["name"], "usage": {"cpu": "0", "memory": "0", **used}} for it in pod["spec"]["containers"]
    ]
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"metadata": metadata, "timestamp": at, "window": "10s", "containers": containers}


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
