"""Kubernetes' own kubelet over a container runtime that only remembers what it was told: kubemark's hollow node.

Its containers run for ever and end at once when they are stopped; images are always there; no probe is asked. It is
the program to compare a ProcessNode with. A node that holds no pod that the scheduler places.
"""

from collections.abc import Generator
from contextlib import contextmanager

from .control_plane.tools import tool
from .kubernetes_api import condition
from .kubernetes_cluster import ADMINISTRATORS, Cluster, Program, free_port


@contextmanager
def hollow_node(cluster: Cluster, name: str = "hollow") -> Generator[str]:
    """Its name, when it is ready."""
    folder = cluster.place / name
    folder.mkdir()
    command = [
        str(tool("kubemark")), "--morph=kubelet", f"--name={name}",
        f"--kubeconfig={cluster.kubeconfig_of(f'node-{name}', ADMINISTRATORS)}",
        "--use-host-image-service=false", "--register-with-taints=hollow=true:NoSchedule",
        f"--kubelet-port={free_port(cluster.machine)}", "--kubelet-read-only-port=0", "--kube-api-qps=200",
        "--kube-api-burst=400",
    ]  # fmt: skip
    program = Program(name, command, folder / "log", {"TMPDIR": str(folder)})
    cluster.programs[name] = program
    program.start()
    try:
        cluster.api.wait("Node", name, None, lambda it: condition(it, "Ready") == "True")
        yield name
    finally:
        program.kill()
