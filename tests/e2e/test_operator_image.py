"""The operator's image is built from our wheel, pushed, installed by its digest, and runs what has no image."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.measuring.docker_registry import PROGRAM, docker_registry
from lykeion import __version__

from .kubernetes_cluster import ROOT, Cluster, kubernetes_cluster
from .process_node.handle import process_node
from .test_operator_install import lykeion

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(PROGRAM is None, reason="needs Debian's docker-registry"),
]
TRAINING = """apiVersion: lykeion.github.io/v1alpha1
kind: Training
metadata: {name: shoes, namespace: default}
spec: {program: {command: [sh, -c, "id -u; lykeion --version"]}}
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This package's, as a release has it."""
    place = tmp_path_factory.mktemp("wheel")
    options = ("--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(place))
    done = subprocess.run([sys.executable, "-m", "pip", "wheel", *options, str(ROOT)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"the wheel cannot be built: {done.stderr[-200:]}")
    (found,) = place.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Cluster, str]]:
    """A cluster without our definitions, and a registry over plain HTTP from which its node pulls."""
    place = tmp_path_factory.mktemp("cluster")
    (place / "registry").mkdir()
    with (
        kubernetes_cluster(place / "c", crds=False) as cluster,
        docker_registry(place / "registry", address=cluster.machine) as host,
        process_node(cluster, environment={"LYKEION_REGISTRIES": f"http://{host}"}),
    ):
        yield cluster, host


def test_the_image_is_built_pushed_and_installed_by_digest_and_runs_programs_without_an_image(
    registry: tuple[Cluster, str], base: Path, wheel: Path, tmp_path: Path
) -> None:
    cluster, host = registry
    build = ("--registry", f"{host}/shop", "--base", str(base), "--wheel", str(wheel), "--plain-http", "--quiet")
    home = {"LYKEION_HOME": str(tmp_path)}
    lykeion(cluster, "operator", "install", *build, **home)
    found = json.loads(lykeion(cluster, "operator", "status", "--json"))
    assert found["operator"] == "ready"
    name, _, digest = found["image"].partition("@")
    assert name == f"{host}/shop/lykeion-operator"
    assert digest.startswith("sha256:")
    cluster.kubectl("apply", "-f", "-", text=TRAINING)
    context = {"LYKEION_CONTEXT": "tests", **home}
    lykeion(cluster, "wait", "training/shoes", "--timeout", "120", **context)
    assert lykeion(cluster, "logs", "training/shoes", **context).splitlines() == [
        "65532",
        f"lykeion, version {__version__}",
    ]
    before = cluster.api.items("Pod", "lykeion-system")[0]["metadata"]["name"]
    lykeion(cluster, "operator", "upgrade", *build, **home)
    assert json.loads(lykeion(cluster, "operator", "status", "--json"))["image"] == found["image"]
    assert cluster.api.items("Pod", "lykeion-system")[0]["metadata"]["name"] == before, "the same inputs, no new pod"
