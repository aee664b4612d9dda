"""examples/photo_search_loop in a cluster: the same file, by an operator with the rights of an installed one."""

import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from benchmarks.measuring.docker_registry import PROGRAM, docker_registry
from tests.search.ingest.tiny import jpeg

from .cluster_controllers import operator_account
from .cluster_operator import SYSTEM, cluster_operator
from .kubernetes_cluster import Cluster
from .photo_load import PhotoLoad
from .platform_machine import until
from .serving import COMMAND
from .test_photo_search_loop import LOOP, PHOTOS, write_catalogue

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(PROGRAM is None, reason="needs Debian's docker-registry"),
]
PROFILE = {
    "apiVersion": "lykeion.github.io/v1alpha1",
    "kind": "ClusterProfile",
    "metadata": {"name": "this-cluster"},
}
Command = Callable[..., str]


@pytest.fixture
def lykeion(cluster: Cluster, namespace: str, tmp_path: Path) -> Iterator[Command]:
    """A command on a namespace in which an operator works, whose models and indexes are in a registry."""
    (tmp_path / "registry").mkdir()
    kubeconfig = cluster.kubeconfig_of("searcher", "system:masters", namespace=namespace)
    with docker_registry(tmp_path / "registry", address=cluster.machine) as host:
        plain = {"LYKEION_REGISTRIES": f"http://{host}"}
        variables = {**os.environ, **plain, "KUBECONFIG": str(kubeconfig), "LYKEION_HOME": str(tmp_path / "home")}

        def run(*arguments: str) -> str:
            command = [*COMMAND, "--context", "tests", *arguments]
            done = subprocess.run(command, env=variables, capture_output=True, text=True)
            assert done.returncode == 0, (arguments, done.stdout, done.stderr)
            return done.stdout

        options = ("--image", "host.local/lykeion:65532", "--namespace", SYSTEM, "--only-namespace", namespace)
        account = operator_account(cluster)
        profile = {"registryPrefix": f"{host}/shop", "storage": {"shared": True}}
        cluster.api.create({**PROFILE, "spec": profile})
        with cluster_operator(cluster, tmp_path, *options, kubeconfig=account, environment=plain):
            yield run
        cluster.api.delete("ClusterProfile", "this-cluster")


@pytest.fixture
def catalogue() -> Iterator[Path]:
    """A directory that every pod sees: its /tmp is its own."""
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="lykeion-catalogue-") as made:
        Path(made).chmod(0o755)
        yield Path(made) / "catalogue"


def _outputs(lykeion: Command, catalogue: Path, number: int) -> dict[str, dict[str, str]]:
    """By step and name, of a run that has ended well."""
    lykeion("run", "pipeline/nightly", "-p", f"catalogue={catalogue}", "-p", "manifest=catalogue.csv")
    lykeion("wait", f"run/nightly-run-{number}", "--timeout", "300")
    return {step["name"]: step.get("outputs", {}) for step in _get(lykeion, f"run/nightly-run-{number}")["steps"]}


def _get(lykeion: Command, name: str) -> dict[str, Any]:
    return json.loads(lykeion("get", name, "--json"))["status"]


def test_the_index_is_built_in_shards_served_and_replaced_with_no_failed_request(
    cluster: Cluster, namespace: str, lykeion: Command, catalogue: Path
) -> None:
    lykeion("apply", "-f", str(LOOP))
    write_catalogue(catalogue, "monday")
    outputs = _outputs(lykeion, catalogue, 1)
    assert {name for step in outputs.values() for name in step} == {"catalogue", "shards", "index"}
    assert all("@sha256:" in digest for step in outputs.values() for digest in step.values())
    lykeion("wait", "serving/shop", "--for", "condition=Ready", "--timeout", "120")
    url = f"http://{cluster.api.get('Service', 'shop', namespace)['spec']['clusterIP']}"
    host = f"shop.{namespace}.svc"
    assert _get(lykeion, "serving/shop")["url"] == f"http://{host}"
    with PhotoLoad(url, [jpeg(number) for number in range(PHOTOS)], host) as load:
        load.await_more(50)
        assert load.editions == {"monday"}
        write_catalogue(catalogue, "tuesday")
        index = _outputs(lykeion, catalogue, 2)["build"]["index"]
        until(lambda: load.answers[-1].edition == "tuesday", seconds=180)
        load.await_more(50)
    assert load.failed == []
    assert all(answer.found for answer in load.answers), "each photo finds its product, in either index"
    assert load.editions == {"monday", "tuesday"}, "each answer is of one edition"
    assert _get(lykeion, "serving/shop")["rollouts"] == 0, "the index was replaced in its replica"
    served = httpx.get(f"{url}/healthz", headers={"Host": host}, trust_env=False).json()["index"]
    assert served.rpartition("-")[2] == index.partition("sha256:")[2][:32]
