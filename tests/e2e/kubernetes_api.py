"""A small client of the Kubernetes API for tests, which shares no code with what is tested."""

import json
import ssl
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import yaml

Object = dict[str, Any]
PATIENCE_S = 60
"""With a server that is busy: one that was just started says so of our kinds, "storage is (re)initializing"."""
WAIT_S = 120
"""For what should be there in a second or two, on a machine that has other work."""

KINDS = {  # kind: (group/version, plural, namespaced); others are discovered
    "Pod": ("v1", "pods", True),
    "Node": ("v1", "nodes", False),
    "Namespace": ("v1", "namespaces", False),
    "Service": ("v1", "services", True),
    "ConfigMap": ("v1", "configmaps", True),
    "Secret": ("v1", "secrets", True),
    "Event": ("v1", "events", True),
    "ServiceAccount": ("v1", "serviceaccounts", True),
    "PersistentVolumeClaim": ("v1", "persistentvolumeclaims", True),
    "PersistentVolume": ("v1", "persistentvolumes", False),
    "Deployment": ("apps/v1", "deployments", True),
    "Job": ("batch/v1", "jobs", True),
    "CustomResourceDefinition": ("apiextensions.k8s.io/v1", "customresourcedefinitions", False),
}


class ApiError(AssertionError):
    """``code`` is HTTP's; ``reason`` the server's, such as AlreadyExists."""

    def __init__(self, response: httpx.Response) -> None:
        try:
            status = response.json()
        except ValueError:
            status = {"message": response.text}
        self.code, self.reason = response.status_code, status.get("reason", "")
        super().__init__(f"{response.request.method} {response.request.url}: {self.code} {status.get('message')}")


class WatchEnded(AssertionError):
    """The server ended a watch with an error, such as that it is too old: list again."""


@dataclass
class KubernetesApi:
    """Objects are dicts, as JSON has them. Raises ApiError, and httpx's errors where no server is."""

    kubeconfig: Path
    discovered: dict[str, tuple[str, str, bool]] = field(default_factory=lambda: dict(KINDS))

    @cached_property
    def client(self) -> httpx.Client:
        address, context, headers = connection(self.kubeconfig)
        limits = httpx.Limits(max_connections=None)  # each watch has one
        return httpx.Client(
            base_url=address, verify=context, headers=headers, timeout=60, limits=limits, trust_env=False
        )

    def create(self, document: Object) -> Object:
        return self._send("POST", self.path_of(document, collection=True), document)

    def create_dry(self, document: Object) -> Object:
        """What it would become. Unknown fields and fields that are there twice are refused."""
        path = self.path_of(document, collection=True)
        return self._send("POST", f"{path}?dryRun=All&fieldValidation=Strict", document)

    def apply(self, document: Object, *, manager: str = "test", force: bool = True) -> Object:
        """Server-side apply: of 1 MB too, which kubectl's annotation cannot hold."""
        query = f"?fieldManager={manager}&force={str(force).lower()}"
        return self._send("PATCH", self.path_of(document) + query, document, "application/apply-patch+yaml")

    def get(self, kind: str, name: str, namespace: str | None = None) -> Object:
        return self._send("GET", self.path(kind, namespace, name))

    def find(self, kind: str, name: str, namespace: str | None = None) -> Object | None:
        try:
            return self.get(kind, name, namespace)
        except ApiError as error:
            if error.code != 404:
                raise
            return None

    def items(self, kind: str, namespace: str | None = None, *, labels: str = "", fields: str = "") -> list[Object]:
        query = urlencode({"labelSelector": labels, "fieldSelector": fields})
        return self._send("GET", f"{self.path(kind, namespace)}?{query}")["items"]

    def patch(
        self,
        kind: str,
        name: str,
        namespace: str | None,
        change: Object,
        *,
        subresource: str = "",
        form: str = "merge",
    ) -> Object:
        """``form`` is merge, or strategic-merge, which merges lists by key."""
        path = self.path(kind, namespace, name) + (f"/{subresource}" if subresource else "")
        return self._send("PATCH", path, change, f"application/{form}-patch+json")

    def delete(self, kind: str, name: str, namespace: str | None = None, **options: Any) -> Object:
        body = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background", **options}
        return self._send("DELETE", self.path(kind, namespace, name), body)

    def clear(self, kind: str, namespace: str | None = None) -> None:
        """Delete all objects of a kind, and wait until they are gone."""
        for it in self.items(kind, namespace):
            self.delete(kind, it["metadata"]["name"], it["metadata"].get("namespace"))
        self.wait_all(kind, namespace, lambda them: not them)

    def evict(self, pod: str, namespace: str) -> Object:
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": namespace}}
        return self._send("POST", self.path("Pod", namespace, pod) + "/eviction", body)

    def token(self, account: str, namespace: str, seconds: int = 3600) -> str:
        """A ServiceAccount's token, by TokenRequest."""
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": seconds},
        }
        return self._send("POST", self.path("ServiceAccount", namespace, account) + "/token", body)["status"]["token"]

    def logs(self, pod: str, namespace: str, container: str = "", *, previous: bool = False) -> str:
        query = {**({"container": container} if container else {}), **({"previous": "true"} if previous else {})}
        response = self.client.get(self.path("Pod", namespace, pod) + "/log", params=query)
        return _checked(response).text

    def wait(
        self,
        kind: str,
        name: str,
        namespace: str | None,
        holds: Callable[[Object], object],
        *,
        seconds: float = WAIT_S,
    ) -> Object:
        """The first state of an object that ``holds``, from the server's watch. Absent, it is ``{}``."""
        last: Object = {}
        for states in self._states(kind, namespace, seconds, fields=f"metadata.name={name}"):
            last = states.get(name, {})
            if holds(last):
                return last
        shown = yaml.safe_dump({key: last.get(key) for key in ("spec", "status")})
        raise AssertionError(f"{kind} {name} did not become what was waited for in {seconds} s:\n{shown}")

    def wait_gone(self, kind: str, name: str, namespace: str | None = None, *, seconds: float = WAIT_S) -> None:
        self.wait(kind, name, namespace, lambda it: not it, seconds=seconds)

    def wait_all(
        self,
        kind: str,
        namespace: str | None,
        holds: Callable[[list[Object]], object],
        *,
        labels: str = "",
        seconds: float = WAIT_S,
    ) -> list[Object]:
        """The first set of objects that ``holds``."""
        last: list[Object] = []
        for states in self._states(kind, namespace, seconds, labels=labels):
            last = [*states.values()]
            if holds(last):
                return last
        shown = yaml.safe_dump([{"name": it["metadata"]["name"], "status": it.get("status")} for it in last])
        raise AssertionError(f"the {kind}s did not become what was waited for in {seconds} s:\n{shown}")

    def _states(
        self, kind: str, namespace: str | None, seconds: float, **selectors: str
    ) -> Generator[dict[str, Object]]:
        """What ``watch`` gives; it goes on when the server is away for a while."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                with self.watch(kind, namespace, seconds=left, **selectors) as states:
                    yield from states
            except (httpx.TransportError, WatchEnded):
                time.sleep(0.1)

    @contextmanager
    def watch(
        self, kind: str, namespace: str | None = None, *, labels: str = "", fields: str = "", seconds: float = WAIT_S
    ) -> Generator[Generator[dict[str, Object]]]:
        """All objects by name, now and after each event, for at most ``seconds``."""
        path = self.path(kind, namespace)
        query = {"labelSelector": labels, "fieldSelector": fields}
        listed = self._send("GET", f"{path}?{urlencode(query)}")
        items = {it["metadata"]["name"]: it for it in listed["items"]}
        version, limit = listed["metadata"]["resourceVersion"], str(max(1, round(seconds)))
        query |= {"watch": "true", "timeoutSeconds": limit, "resourceVersion": version}
        with self.client.stream("GET", path, params=query, timeout=seconds + 10) as response:
            if response.status_code >= 400:
                raise WatchEnded(f"watch {path}: {response.status_code}")
            yield _states(items, response)

    def path_of(self, document: Object, *, collection: bool = False) -> str:
        kind, metadata = document["kind"], document["metadata"]
        name = None if collection else metadata["name"]
        namespace = metadata.get("namespace", "default")
        return self.path(kind, namespace, name, api_version=document.get("apiVersion", ""))

    def path(self, kind: str, namespace: str | None = None, name: str | None = None, *, api_version: str = "") -> str:
        """Other kinds are found by discovery. ``namespace`` None is all, or default for one object."""
        found = self.discovered.get(kind)
        if not found or (api_version and found[0] != api_version):
            self._discover()
            named = [it for it in self._kinds if it[0] == kind and (not api_version or it[1] == api_version)]
            assert named, f"the server has no {kind} {api_version}"
            found = named[0][1:]
            self.discovered[kind] = found
        version, plural, namespaced = found
        root = f"/api/{version}" if "/" not in version else f"/apis/{version}"
        if namespaced and name is not None and namespace is None:
            namespace = "default"
        place = f"/namespaces/{namespace}" if namespaced and namespace else ""
        return f"{root}{place}/{plural}" + (f"/{name}" if name else "")

    def _discover(self) -> None:
        groups = self._send("GET", "/apis")["groups"]
        versions = ["v1", *(it["groupVersion"] for group in groups for it in group["versions"])]
        self._kinds: list[tuple[str, str, str, bool]] = []
        for version in versions:
            root = "/api/v1" if version == "v1" else f"/apis/{version}"
            for it in self._send("GET", root)["resources"]:
                if "/" not in it["name"]:
                    self._kinds.append((it["kind"], version, it["name"], it["namespaced"]))

    def _send(self, method: str, path: str, body: Object | None = None, form: str = "application/json") -> Object:
        content = None if body is None else json.dumps(body)
        deadline = time.monotonic() + PATIENCE_S
        while True:
            response = self.client.request(method, path, content=content, headers={"content-type": form})
            if response.status_code != 429 or time.monotonic() > deadline:
                return _checked(response).json()
            time.sleep(0.1)


def _states(items: dict[str, Object], response: httpx.Response) -> Generator[dict[str, Object]]:
    yield items
    for line in response.iter_lines():
        event = json.loads(line)
        it = event["object"]
        if event["type"] == "ERROR":
            raise WatchEnded(f"watch: {it}")
        items[it["metadata"]["name"]] = it
        if event["type"] == "DELETED":
            del items[it["metadata"]["name"]]
        yield items


def _checked(response: httpx.Response) -> httpx.Response:
    if response.status_code >= 400:
        raise ApiError(response)
    return response


def connection(kubeconfig: Path) -> tuple[str, ssl.SSLContext, Mapping[str, str]]:
    """The server's address, its trust with the client's certificate, and headers with a token."""
    document = yaml.safe_load(kubeconfig.read_text())
    cluster, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
    context = ssl.create_default_context(cafile=cluster["certificate-authority"])
    if "client-certificate" in user:
        context.load_cert_chain(user["client-certificate"], user["client-key"])
    headers = {"authorization": f"Bearer {user['token']}"} if "token" in user else {}
    return cluster["server"], context, headers


def condition(it: Object, type_: str) -> str:
    """A condition's status, or ""."""
    found = (each for each in it.get("status", {}).get("conditions") or () if each["type"] == type_)
    return next((each["status"] for each in found), "")
