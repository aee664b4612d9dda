"""Models and indexes of a registry, served in a real cluster: each replica is given them, and they are replaced."""

import base64
import json
import shutil
import subprocess
from collections.abc import Generator
from pathlib import Path

import httpx
import pytest

from benchmarks.measuring.docker_registry import PROGRAM, docker_registry
from lykeion.nets import LOGITS, random_weights, write_litert
from lykeion.platform.kubernetes.objects.translation import REGISTRY, ClusterFacts
from tests.model_server.tiny import CARD, NETWORK, rows

from .cluster_servings import IMAGE, USER, ClusterServing, cluster_load, ready_message, serving_operator
from .kubernetes_cluster import Cluster
from .serving import COMMAND

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(PROGRAM is None, reason="needs Debian's docker-registry"),
]
INDEX = Path(__file__).parents[1] / "fixtures" / "index-v1"
POD = {"runAsUser": USER}
NAME, PASSWORD = "tests", "sesame-of-tests"
HASHED = "$2b$05$abcdefghijklmnopqrstuueemg9WKdO7/HMFxh.DL2jlXL8ERNhzu"


def _credentials(host: str) -> str:
    """As ``docker login`` keeps them."""
    return json.dumps({"auths": {host: {"auth": base64.b64encode(f"{NAME}:{PASSWORD}".encode()).decode()}}})


@pytest.fixture(scope="module")
def registry(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """A registry that the cluster's pods reach, over plain HTTP, with a password that the operator knows."""
    place = tmp_path_factory.mktemp("registry")
    users = f"{NAME}:{HASHED}\n"
    with docker_registry(place, address=cluster.machine, users=users) as host, pytest.MonkeyPatch.context() as patch:
        (place / "config.json").write_text(_credentials(host))
        patch.setenv("DOCKER_CONFIG", str(place))
        patch.setenv("LYKEION_REGISTRIES", f"http://{host}")
        yield host


def _allow(cluster: Cluster, namespace: str, host: str) -> None:
    """The pull secret of a namespace."""
    metadata = {"name": REGISTRY, "namespace": namespace}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "kubernetes.io/dockerconfigjson"}
    cluster.api.create({**secret, "stringData": {".dockerconfigjson": _credentials(host)}})


@pytest.fixture
def unpermitted(cluster: Cluster, namespace: str, registry: str) -> Generator[ClusterServing]:
    facts = ClusterFacts(image=IMAGE, registries=f"http://{registry}")
    with serving_operator(cluster, namespace, facts):
        yield ClusterServing(cluster, namespace)


@pytest.fixture
def shop(unpermitted: ClusterServing, registry: str) -> ClusterServing:
    _allow(unpermitted.cluster, unpermitted.namespace, registry)
    return unpermitted


def _push(directory: Path, name: str, *options: str) -> None:
    done = subprocess.run([*COMMAND, "models", "push", str(directory), name, "--quiet", *options])
    assert done.returncode == 0


def _push_model(directory: Path, name: str, seed: int) -> None:
    directory.mkdir(exist_ok=True)
    (directory / "model.tflite").write_bytes(write_litert(NETWORK, random_weights(NETWORK, seed), output=LOGITS))
    (directory / "model.json").write_text(CARD.to_json())
    _push(directory, name)


def _inferred(client: httpx.Client) -> tuple[str, int]:
    image = {"name": "image", "datatype": "FP32", "shape": [1, 8, 8, 3], "data": rows(1).ravel().tolist()}
    answer = client.post("/v2/models/tiny/infer", json={"inputs": [image]})
    return answer.json().get("model_version", ""), answer.status_code


def _since(client: httpx.Client) -> tuple[str, int]:
    answer = client.get("/healthz")
    return answer.json().get("since", ""), answer.status_code


def test_a_model_follows_its_alias_and_no_request_fails(shop: ClusterServing, registry: str, tmp_path: Path) -> None:
    name = f"{registry}/{shop.namespace}/tiny:champion"
    _push_model(tmp_path / "tiny", name, 1)
    shop.apply(model={"reference": name, "checkSeconds": 5, "pod": POD}, replicas=2)
    shop.wait_ready()
    with cluster_load(shop, _inferred) as load:
        load.wait_more(10)
        _push_model(tmp_path / "tiny", name, 2)
        status = shop.wait(lambda it: it.get("history"), seconds=600)
        load.wait_more(20)
        load.answers.clear()
        load.wait_more(20)
    assert load.failures == []
    assert load.answers.keys() == {(status["stable"]["artifact"].rpartition("@")[2], 200)}


@pytest.mark.parametrize("hot_swap", [False, True], ids=["rolled-out", "swapped"])
def test_an_index_follows_its_alias_and_no_request_fails(
    shop: ClusterServing, registry: str, tmp_path: Path, hot_swap: bool
) -> None:
    name = f"{registry}/{shop.namespace}/index:current"
    _push(INDEX, name, "--all-files")
    shop.apply(index={"reference": name, "checkSeconds": 5, "hotSwap": hot_swap, "pod": POD})
    shop.wait_ready()
    pods = {each["metadata"]["uid"] for each in shop.cluster.api.items("Pod", shop.namespace)}
    with cluster_load(shop, _since) as load:
        load.wait_more(10)
        other = shutil.copytree(INDEX, tmp_path / "other")
        (other / "note.txt").write_text("of today")
        _push(other, name, "--all-files")
        load.wait_until(lambda: len(load.versions) == 2)
    assert load.failures == []
    assert {status for _, status in load.answers} == {200}
    left = {each["metadata"]["uid"] for each in shop.cluster.api.items("Pod", shop.namespace)}
    assert (left == pods) == hot_swap


def test_without_a_pull_secret_the_cause_is_said_and_with_one_it_serves(
    unpermitted: ClusterServing, registry: str, tmp_path: Path
) -> None:
    name = f"{registry}/{unpermitted.namespace}/tiny:champion"
    _push_model(tmp_path / "tiny", name, 1)
    unpermitted.apply(model={"reference": name, "pod": POD})
    unpermitted.wait(lambda it: "fetch-artifact-0: exit code" in ready_message(it))
    _allow(unpermitted.cluster, unpermitted.namespace, registry)
    for each in unpermitted.cluster.api.items("Pod", unpermitted.namespace):
        unpermitted.cluster.api.delete("Pod", each["metadata"]["name"], unpermitted.namespace)
    unpermitted.wait_ready()
