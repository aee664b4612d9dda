"""Two clusters with an operator each, connected: pipelines of one, GKE, run steps in the other, EKS."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lykeion.platform.kubernetes.installing.operator_manifests import (
    NAMESPACE,
    OPERATOR,
    Installation,
    operator_objects,
)
from lykeion.platform.kubernetes.objects.translation import CREDENTIALS

from .cluster_operator import ClusterOperator, cluster_operator
from .kubernetes_api import Object, condition
from .kubernetes_cluster import Cluster
from .test_operator_install import lykeion

IMAGE = "host.local/lykeion:65532"
SHELL: Object = {"image": "host.local/shell", "pod": {"runAsUser": 65532}}


@dataclass
class TwoClusters:
    """``kubeconfig`` has the contexts ``gke`` and ``eks``."""

    gke: Cluster
    eks: Cluster
    here: ClusterOperator
    there: ClusterOperator
    kubeconfig: Path
    registry: str

    def command(self, *arguments: str, code: int = 0) -> str:
        return lykeion(self.gke, *arguments, code=code, KUBECONFIG=str(self.kubeconfig))

    def connect(self, namespace: str) -> str:
        """A namespace here, and one there; the one there."""
        there = self.eks.namespace(f"{namespace}-steps")
        self.gke.namespace(namespace)
        options = ("--context", "gke", "--namespace", namespace, "--to", "eks", "--there", there)
        self.command("operator", "connect", "eks", *options)
        return there

    def give_credentials(self, namespace: str) -> None:
        """A namespace here that has the credentials, and may use the cluster, but has not bound the role."""
        self.gke.namespace(namespace)
        data = self.gke.api.get("Secret", CREDENTIALS, "shop")["data"]
        metadata = {"name": CREDENTIALS, "namespace": namespace}
        self.gke.api.create({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data})
        (allowed,) = self.gke.api.get("ClusterProfile", "this-cluster")["spec"]["clusters"]
        more = {**allowed, "namespaces": [*allowed["namespaces"], namespace]}
        self.gke.api.patch("ClusterProfile", "this-cluster", None, {"spec": {"clusters": [more]}})

    def run(self, namespace: str, *steps: Object, **spec: Any) -> None:
        """A run ``night`` here."""
        head = {"apiVersion": "lykeion.github.io/v1alpha1", "kind": "PipelineRun"}
        metadata = {"name": "night", "namespace": namespace}
        self.gke.api.create({**head, "metadata": metadata, "spec": {"steps": list(steps), **spec}})

    def wait(self, namespace: str, type_: str, status: str = "True") -> Object:
        """Until the run has a condition."""
        return self.gke.api.wait(
            "PipelineRun", "night", namespace, lambda it: condition(it, type_) == status, seconds=180
        )

    def wait_there(self, namespace: str, type_: str) -> Object:
        """Until the run of its step has a condition there."""
        (found,) = self.eks.api.wait_all(
            "PipelineRun", namespace, lambda them: [each for each in them if condition(each, type_)], seconds=180
        )
        return found

    def return_eks(self) -> None:
        """Its API server, and its operator, which has lost its Lease meanwhile: a kubelet would start it again."""
        self.eks.start_api()
        self.there.program.kill()
        self.there.start()


def step(name: str, script: str, **more: Any) -> Object:
    return {"name": name, "program": {**SHELL, "command": ["sh", "-c", script]}, **more}


@contextmanager
def two_clusters(gke: Cluster, eks: Cluster, place: Path, registry: str) -> Generator[TwoClusters]:
    for each in (gke, eks):
        _install(each, registry)
    path = place / "kubeconfig"
    path.write_text(yaml.safe_dump(_both({"gke": gke, "eks": eks})))
    with _operator(gke, place / "gke", registry) as here, _operator(eks, place / "eks", registry) as there:
        yield TwoClusters(gke, eks, here, there, path, registry)


def _install(cluster: Cluster, registry: str) -> None:
    """All but the operator's pod: it runs as a process beside, with the rights of its account."""
    for each in operator_objects(Installation(registry=f"{registry}/shop")):
        made = {**each, "spec": {**each["spec"], "replicas": 0}} if each["kind"] == "Deployment" else each
        cluster.api.apply(made)


@contextmanager
def _operator(cluster: Cluster, place: Path, registry: str) -> Generator[ClusterOperator]:
    account = cluster.kubeconfig_of_account(OPERATOR, NAMESPACE)
    environment = {"LYKEION_REGISTRIES": f"http://{registry}"}
    options = ("--namespace", NAMESPACE, "--image", IMAGE, "--sweep-seconds", "5")
    with cluster_operator(cluster, place, *options, kubeconfig=account, environment=environment) as made:
        yield made


def _both(clusters: dict[str, Cluster]) -> Object:
    documents = {name: yaml.safe_load(each.kubeconfig.read_text()) for name, each in clusters.items()}
    named = {name: (each["clusters"][0]["cluster"], each["users"][0]["user"]) for name, each in documents.items()}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster} for name, (cluster, _) in named.items()],
        "users": [{"name": name, "user": user} for name, (_, user) in named.items()],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}} for name in named],
        "current-context": "gke",
    }
