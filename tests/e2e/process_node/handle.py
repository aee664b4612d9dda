"""The test's side of a node: its process, started, silenced and taken away."""

import json
import signal
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.e2e.kubernetes_api import condition
from tests.e2e.kubernetes_cluster import ADMINISTRATORS, Cluster, Program

from .node import Settings

CAPACITY = {"cpu": "8", "memory": "32Gi", "ephemeral-storage": "100Gi", "pods": "500"}


@dataclass
class ProcessNode:
    name: str
    cluster: Cluster
    program: Program
    images: Path
    """The layout whose images are ``layout.local/NAME:TAG``, and to which others are pulled."""

    def start(self) -> None:
        self.program.start()
        self.wait_ready()

    def wait_ready(self) -> None:
        self.cluster.api.wait("Node", self.name, None, lambda it: condition(it, "Ready") == "True")

    def kill(self) -> None:
        """The machine is gone, with its pods."""
        self.program.kill()

    def pause(self) -> None:
        """The network is gone: no heartbeat, while its pods go on."""
        self.program.signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.program.signal(signal.SIGCONT)


@contextmanager
def process_node(
    cluster: Cluster,
    name: str = "node-0",
    *,
    capacity: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
    taints: list[dict[str, str]] | None = None,
    environment: Mapping[str, str] | None = None,
    options: Mapping[str, float] | None = None,
) -> Generator[ProcessNode]:
    """A node that is ready. ``options`` are NodeFacts' times; ``environment`` is its process's: credentials of
    registries, ``SSL_CERT_FILE``.
    """
    folder = cluster.place / "nodes" / name
    folder.mkdir(parents=True)
    images = cluster.place / "images"
    hosts = (cluster.machine, name)
    certificate, key = cluster.authority.issue(f"node-{name}", f"system:node:{name}", hosts=hosts)
    settings = Settings(
        name=name,
        number=len([*folder.parent.iterdir()]) - 1,
        kubeconfig=str(cluster.kubeconfig_of(f"node-{name}", ADMINISTRATORS)),
        folder=str(folder / "pods"),
        images=str(images),
        bridge=cluster.addresses.bridge,
        machine=cluster.machine,
        name_server=cluster.addresses.names,
        certificate=str(certificate),
        key=str(key),
        capacity={**CAPACITY, **(capacity or {})},
        labels=labels or {},
        services=cluster.service_variables,
        taints=taints or [],
        options=options or {},
    )
    path = folder / "settings.json"
    path.write_text(json.dumps(asdict(settings)))
    command = [sys.executable, "-m", "tests.e2e.process_node.node", str(path)]
    node = ProcessNode(name, cluster, Program(name, command, folder / "log", environment or {}), images)
    cluster.programs[name] = node.program
    node.start()
    try:
        yield node
    finally:
        node.kill()
