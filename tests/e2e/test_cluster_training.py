"""Trainings in a real cluster: the real API server, Job controller and scheduler, our operator beside them."""

from collections.abc import Iterator

import pytest

from benchmarks.measuring.docker_registry import PROGRAM, docker_registry

from .cluster_operator import ClusterOperator, cluster_operator, has_ended, training
from .kubernetes_api import Object, condition
from .kubernetes_cluster import Cluster

pytestmark = pytest.mark.slow
OPERATOR = "host.local/lykeion:65532"


@pytest.fixture(scope="module")
def registry(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if PROGRAM is None:
        pytest.skip("needs Debian's docker-registry")
    with docker_registry(tmp_path_factory.mktemp("registry"), address=cluster.machine) as host:
        yield host


@pytest.fixture(scope="module")
def operator(cluster: Cluster, registry: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterOperator]:
    place = tmp_path_factory.mktemp("operator")
    environment = {"LYKEION_REGISTRIES": f"http://{registry}"}
    with cluster_operator(cluster, place, "--image", OPERATOR, environment=environment) as made:
        yield made


def _written(cluster: Cluster, namespace: str) -> list[str]:
    """The operator's writes in a namespace: verb and resource."""
    found = [each for each in cluster.audited() if each.get("objectRef", {}).get("namespace") == namespace]
    ours = [each for each in found if each.get("userAgent", "").startswith("python-httpx2")]
    return [
        f"{each['verb']} {each['objectRef']['resource']}"
        for each in ours
        if each["verb"] in ("create", "patch", "update", "delete")
    ]


def test_a_training_ends_after_few_writes(cluster: Cluster, operator: ClusterOperator, namespace: str) -> None:
    cluster.api.create(training("echo epoch 1; echo 7 > $LYKEION_RUN/model", namespace))
    ended = cluster.api.wait("Training", "shoes", namespace, has_ended)
    assert condition(ended, "Complete"), ended["status"]
    assert ended["status"]["attempts"] == 1
    writes = _written(cluster, namespace)
    assert len([each for each in writes if "events" not in each]) <= 6, writes
    assert len([each for each in writes if "events" in each]) <= 4, writes


def test_a_model_is_trained_and_published(
    cluster: Cluster, operator: ClusterOperator, namespace: str, registry: str
) -> None:
    script = "mkdir $LYKEION_RUN/model; expr 41 + 1 > $LYKEION_RUN/model/weights.npz"
    publish = {"model": f"{registry}/{namespace}/shoes:candidate", "directory": "model"}
    cluster.api.create(training(script, namespace, publish=publish))
    ended = cluster.api.wait("Training", "shoes", namespace, has_ended, seconds=90)
    assert condition(ended, "Complete"), ended["status"]
    assert ended["status"]["digest"].startswith("sha256:")


def test_a_training_that_fails_says_with_which_words(
    cluster: Cluster, operator: ClusterOperator, namespace: str
) -> None:
    cluster.api.create(training("echo no memory; exit 7", namespace, retries=1))
    ended = cluster.api.wait("Training", "shoes", namespace, has_ended)
    failed: Object = next(each for each in ended["status"]["conditions"] if each["type"] == "Failed")
    assert failed["status"] == "True"
    assert "exit code 7: no memory" in failed["message"]
    assert ended["status"]["attempts"] == 2


def test_what_is_deleted_leaves_nothing_behind(cluster: Cluster, operator: ClusterOperator, namespace: str) -> None:
    cluster.api.create(training("sleep 600", namespace))
    cluster.api.wait("Training", "shoes", namespace, lambda it: it.get("status", {}).get("attempts"))
    cluster.api.delete("Training", "shoes", namespace)
    for kind in ("Pod", "Job", "PersistentVolumeClaim"):
        cluster.api.wait_all(kind, namespace, lambda found: not found)


def test_metrics_say_what_the_operator_does(operator: ClusterOperator) -> None:
    assert operator.get("/healthz").text == "ok"
    assert operator.get("/readyz").text == "ok"
    assert operator.metric("lykeion_leads") == 1
    assert operator.metric('lykeion_reconcile_seconds_count{kind="Training",outcome="done"}') > 0
    assert operator.metric('lykeion_api_requests_total{code="201",resource="jobs",verb="POST"}') > 0
    assert operator.metric('lykeion_watch_age_seconds{watch="trainings"}') < 300
