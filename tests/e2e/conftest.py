import csv
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from lykeion.search import ingest
from tests.search.ingest.tiny import jpeg, write_network

from .kubernetes_cluster import Cluster, kubernetes_cluster
from .platform_machine import PlatformMachine, platform_machine
from .process_node.handle import process_node

PHOTOS = 40
_numbers = count()


@pytest.fixture(scope="session")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_network(tmp_path_factory.mktemp("network") / "tiny.tflite")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A manifest of photos with a category, a price and an awkward name."""
    folder = tmp_path / "photos"
    folder.mkdir()
    with (folder / "catalogue.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["id", "path", "category", "price", "note"])
        for n in range(PHOTOS):
            (folder / f"{n}.jpg").write_bytes(jpeg(n))
            note = "<img src=x onerror=alert(1)>" if n % 2 else "plain"
            rows.writerow([f"item-{n}", f"{n}.jpg", "shoe" if n % 3 else "bag", 100 * n, note])
    return folder


@pytest.fixture
def index(photos: Path, network: Path, tmp_path: Path) -> Path:
    path = tmp_path / "shop.index"
    ingest.add(photos / "catalogue.csv", path, embedder=str(network))
    return path


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlatformMachine]:
    """A platform that runs, for all tests of a module."""
    with platform_machine(tmp_path_factory.mktemp("p") / "h") as made:
        made.start()
        yield made


@pytest.fixture
def running(shared: PlatformMachine, tmp_path: Path) -> PlatformMachine:
    """A namespace and a directory of its own in one that runs."""
    return replace(shared, place=tmp_path, namespace=f"t{next(_numbers)}")


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Kubernetes with one node, our definitions and image volumes, for all tests that do not harm it."""
    place = tmp_path_factory.mktemp("kubernetes") / "cluster"
    with kubernetes_cluster(place, gates={"ImageVolume": True}) as made, process_node(made):
        yield made


@pytest.fixture
def namespace(cluster: Cluster) -> str:
    """A new namespace of the cluster."""
    return cluster.namespace(f"n{next(_numbers)}")


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root file system with this Debian's Python, made by mmdebstrap: about 40 s."""
    if not shutil.which("mmdebstrap"):
        pytest.skip("needs mmdebstrap")
    release = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
    root = tmp_path_factory.mktemp("base") / "root"
    command = ["mmdebstrap", "--quiet", "--variant=essential", "--include=python3,libstdc++6"]
    done = subprocess.run(
        [*command, release["VERSION_CODENAME"], str(root)], env={**os.environ, "SOURCE_DATE_EPOCH": "0"}
    )
    if done.returncode:
        pytest.skip("mmdebstrap failed; is there a Debian mirror?")
    return root
