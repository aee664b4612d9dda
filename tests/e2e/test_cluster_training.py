"""Trainings in a real cluster: the real API server, Job controller and scheduler, our operator beside them."""

from collections.abc import Iterator
from typing import Any

import pytest

from .cluster_operator import ClusterOperator, cluster_operator
from .kubernetes_api import Object, condition
from .kubernetes_cluster import Cluster

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def operator(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterOperator]:
    with cluster_operator(cluster, tmp_path_factory.mktemp("operator"), "--image", "host.local/lykeion") as made:
        yield made


def _training(script: str, name: str = "shoes", **spec: Any) -> Object:
    program = {"image": "host.local/shell", "command": ["sh", "-c", script], "pod": {"runAsUser": 65532}}
    return {
        "apiVersion": "lykeion.github.io/v1alpha1",
        "kind": "Training",
        "metadata": {"name": name},
        "spec": {"program": program, **spec},
    }


def _ended(it: Object | None) -> bool:
    return bool(it) and any(condition(it, each) for each in ("Complete", "Failed"))


def test_a_training_runs_to_its_end(cluster: Cluster, operator: ClusterOperator, namespace: str) -> None:
    document = _training("echo epoch 1; test -d $LYKEION_RUN; echo 7 > $LYKEION_RUN/model")
    document["metadata"]["namespace"] = namespace
    cluster.api.create(document)
    ended = cluster.api.wait("Training", "shoes", namespace, _ended)
    assert condition(ended, "Complete"), ended["status"]
    assert ended["status"]["attempts"] == 1
