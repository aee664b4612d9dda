"""Servings of tests in a cluster: the controller in this process, and clients."""

import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import httpx

from lykeion.platform.controllers.serving_controller import CLUSTER_SERVINGS
from lykeion.platform.kubernetes.objects.translation import ClusterFacts

from .cluster_controllers import cluster_controllers
from .kubernetes_api import WAIT_S
from .kubernetes_cluster import Cluster

Object = dict[str, Any]
SERVER = str(Path(__file__).with_name("rollout_server.py"))
IMAGE = "host.local/lykeion"
USER = 65532


@contextmanager
def serving_operator(cluster: Cluster, namespace: str, facts: ClusterFacts | None = None) -> Generator[None]:
    """The Servings' controller in a thread, until the end of the test."""
    with cluster_controllers(cluster, namespace, [CLUSTER_SERVINGS], facts or ClusterFacts(image=IMAGE)):
        yield


def server(version: str, behaviour: str = "good") -> Object:
    """A program of a Serving."""
    return {
        "image": IMAGE,
        "command": [sys.executable, SERVER, version, behaviour],
        "env": [{"name": "HOST", "value": "0.0.0.0"}],
        "pod": {"runAsUser": USER},
    }


@dataclass
class ClusterServing:
    cluster: Cluster
    namespace: str
    name: str = "shop"

    def apply(self, **spec: Any) -> None:
        head = {"apiVersion": "lykeion.github.io/v1alpha1", "kind": "Serving"}
        metadata = {"name": self.name, "namespace": self.namespace}
        given = {"readiness": {"path": "/readyz", "periodSeconds": 1}, "drainSeconds": 3, "gracePeriodSeconds": 5}
        self.cluster.api.apply({**head, "metadata": metadata, "spec": {**given, **spec}})

    def wait(self, holds: Any, seconds: float = WAIT_S) -> Object:
        """The status, once it ``holds``."""
        found = self.cluster.api.wait(
            "Serving", self.name, self.namespace, lambda it: holds(it.get("status", {})), seconds=seconds
        )
        return found["status"]

    def wait_ready(self, seconds: float = WAIT_S) -> Object:
        generation = self.cluster.api.get("Serving", self.name, self.namespace)["metadata"]["generation"]
        return self.wait(
            lambda status: status.get("observedGeneration") == generation and true(status, "Ready"), seconds
        )

    def deployments(self) -> list[Object]:
        return self.cluster.api.items("Deployment", self.namespace)

    def address(self) -> str:
        """Of its Service."""
        return self.cluster.api.get("Service", self.name, self.namespace)["spec"]["clusterIP"]

    def endpoints(self, service: str) -> list[str]:
        """Where requests of a Service are sent to now."""
        slices = self.cluster.api.items(
            "EndpointSlice", self.namespace, labels=f"kubernetes.io/service-name={service}"
        )
        return [
            f"{address}:{part['ports'][0]['port']}"
            for part in slices
            for endpoint in part.get("endpoints") or ()
            for address in endpoint["addresses"]
            if endpoint["conditions"]["ready"]
        ]


def true(status: Object, type_: str) -> bool:
    return any(each["type"] == type_ and each["status"] == "True" for each in status.get("conditions", ()))


def ready_message(status: Object) -> str:
    """Why it is not ready."""
    return next((each["message"] for each in status.get("conditions", ()) if each["type"] == "Ready"), "")


def wait_until(holds: Callable[[], bool], shown: Callable[[], object] = str, seconds: float = 120) -> None:
    """For what no watch tells, such as the answers of servers."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, shown()
        time.sleep(0.05)


Ask: TypeAlias = Callable[[httpx.Client], tuple[str, int]]


def answered(client: httpx.Client) -> tuple[str, int]:
    answer = client.get("/answer")
    return answer.headers["X-Version"], answer.status_code


@dataclass
class ClusterLoad:
    """Requests to a Service, until it is stopped; ``ask`` returns the version that answered, with the status."""

    serving: ClusterServing
    ask: Ask
    answers: Counter[tuple[str, int]] = field(default_factory=Counter[tuple[str, int]])
    failures: list[str] = field(default_factory=list[str])
    stopped: threading.Event = field(default_factory=threading.Event)

    def client(self) -> None:
        """Each request has a connection of its own, which a Service gives to one of its pods."""
        url = f"http://{self.serving.address()}"
        host = {"Host": f"{self.serving.name}.{self.serving.namespace}.svc"}
        while not self.stopped.wait(0.02):
            try:
                with httpx.Client(base_url=url, headers=host, timeout=20, trust_env=False) as client:
                    self.answers[self.ask(client)] += 1
            except httpx.HTTPError as error:
                self.failures.append(repr(error))

    @property
    def versions(self) -> set[str]:
        return {version for version, _ in self.answers}

    def wait_more(self, answers: int) -> None:
        """Until so many more requests have been answered."""
        wanted = self.answers.total() + answers
        self.wait_until(lambda: self.answers.total() >= wanted)

    def wait_until(self, holds: Callable[[], bool]) -> None:
        wait_until(holds, lambda: (self.answers, self.failures[-3:]))


@contextmanager
def cluster_load(serving: ClusterServing, ask: Ask = answered, clients: int = 3) -> Generator[ClusterLoad]:
    made = ClusterLoad(serving, ask)
    threads = [threading.Thread(target=made.client) for _ in range(clients)]
    for each in threads:
        each.start()
    try:
        yield made
    finally:
        made.stopped.set()
        for each in threads:
            each.join()
