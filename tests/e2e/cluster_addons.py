"""What may be installed in a cluster of the tests: each as a process of its own, beside the control plane.

Each function does nothing when it was called for the same cluster before. Their webhooks are called by URL.
"""

from pathlib import Path

import yaml

from .control_plane.tools import module_files, tool
from .kubernetes_api import Object
from .kubernetes_cluster import ADMINISTRATORS, Cluster, Program, free_port, read_documents


def start_jobset(cluster: Cluster) -> None:
    """JobSet 0.10, https://jobset.sigs.k8s.io."""
    if "jobset" in cluster.programs:
        return
    files = module_files("jobset", "sigs.k8s.io/jobset") / "config/components"
    cluster.install(files / "crd/bases")
    ports = _Ports(cluster)
    configuration = {
        "apiVersion": "config.jobset.x-k8s.io/v1alpha1",
        "kind": "Configuration",
        **_manager(cluster, "jobset", ports),
    }
    _start_manager(cluster, "jobset", configuration, ports)
    _install_webhooks(cluster, files / "webhook/manifests.yaml", ports.webhooks, "jobset")


class _Ports:
    def __init__(self, cluster: Cluster) -> None:
        self.webhooks, self.health = free_port(cluster.machine), free_port(cluster.machine)


def _manager(cluster: Cluster, name: str, ports: _Ports) -> Object:
    """The part of the configuration that managers made with controller-runtime share."""
    folder = cluster.place / f"{name}-webhooks"
    folder.mkdir()
    certificate, key = cluster.authority.issue(f"{name}-webhooks", name, hosts=(cluster.machine,))
    certificate.rename(folder / "tls.crt")
    key.rename(folder / "tls.key")
    return {
        "webhook": {"host": cluster.machine, "port": ports.webhooks, "certDir": str(folder)},
        "health": {"healthProbeBindAddress": f"{cluster.machine}:{ports.health}"},
        "metrics": {"bindAddress": "0"},
        "leaderElection": {"leaderElect": False},
        "internalCertManagement": {"enable": False},
    }


def _start_manager(cluster: Cluster, name: str, configuration: Object, ports: _Ports) -> None:
    path = cluster.place / f"{name}.yaml"
    path.write_text(yaml.safe_dump(configuration))
    kubeconfig = cluster.kubeconfig_of(name, ADMINISTRATORS)
    command = [str(tool(name)), f"--config={path}", f"--kubeconfig={kubeconfig}"]
    program = cluster.programs[name] = Program(name, command, cluster.place / f"{name}.log")
    program.start()
    cluster.wait_answer(f"http://{cluster.machine}:{ports.health}/readyz", program)


def _install_webhooks(cluster: Cluster, manifests: Path, port: int, prefix: str) -> None:
    for document in read_documents(manifests):
        document["metadata"] = {"name": f"{prefix}-{document['metadata']['name']}"}
        for webhook in document["webhooks"]:
            webhook["clientConfig"] = cluster.webhook_client(port, webhook["clientConfig"]["service"]["path"])
        cluster.api.apply(document)
