"""Kubernetes' own control plane as processes of this machine: etcd, API server, controllers and scheduler.

Nothing of it is simulated; nodes are ProcessNodes. All listens on an address of a bridge of the cluster's own, which
its pods reach too. Times that are minutes in a real cluster are seconds here: see ``_controller_manager``.
"""

import atexit
import base64
import json
import os
import random
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import httpx
import pytest
import yaml

from .cluster_addresses import Addresses, cluster_addresses
from .cluster_credentials import Authority, make_authority, make_signing_key
from .control_plane.tools import tool
from .kubernetes_api import KubernetesApi, Object, condition

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
PROGRAMS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
ADMINISTRATORS = "system:masters"


@dataclass
class Program:
    """A process with its log. It dies with the thread that started it."""

    name: str
    command: list[str]
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def runs(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        assert not self.runs, f"{self.name} runs"
        with self.log.open("ab") as log:
            command = ["setpriv", "--pdeathsig", "KILL", "--", *self.command]
            environment = {**os.environ, "NO_PROXY": "10.0.0.0/8", "no_proxy": "10.0.0.0/8", **self.environment}
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, env=environment, cwd=ROOT, start_new_session=True
            )
        atexit.register(self.kill)

    def stop(self, seconds: float = 30) -> int:
        """SIGTERM, and the exit code."""
        assert self.process
        if self.runs:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.kill()
        return self.process.wait()

    def kill(self) -> None:
        if self.process and self.runs:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        atexit.unregister(self.kill)

    def signal(self, number: signal.Signals) -> None:
        assert self.process
        self.process.send_signal(number)

    def tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-30:])


@dataclass
class Cluster:
    """``place`` holds everything: credentials, data and logs."""

    place: Path
    addresses: Addresses
    authority: Authority
    port: int
    programs: dict[str, Program] = field(default_factory=dict)

    @property
    def server(self) -> str:
        return f"https://{self.addresses.machine}:{self.port}"

    @property
    def machine(self) -> str:
        """The address of this machine that pods reach: a registry of the tests listens there."""
        return self.addresses.machine

    @property
    def service_variables(self) -> dict[str, str]:
        """What every container is told of the service ``kubernetes``."""
        host, port = self.addresses.first_service, "443"
        address = {"PROTO": "tcp", "PORT": port, "ADDR": host}
        prefix = "KUBERNETES_PORT_443_TCP"
        return {
            "KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port, "KUBERNETES_SERVICE_PORT_HTTPS": port,
            "KUBERNETES_PORT": f"tcp://{host}:{port}", prefix: f"tcp://{host}:{port}",
            **{f"{prefix}_{name}": value for name, value in address.items()},
        }  # fmt: skip

    @cached_property
    def kubeconfig(self) -> Path:
        """Of an administrator."""
        return self.kubeconfig_of("admin", ADMINISTRATORS)

    @cached_property
    def api(self) -> KubernetesApi:
        return KubernetesApi(self.kubeconfig)

    def kubeconfig_of(self, user: str, *groups: str, namespace: str = "default") -> Path:
        """A kubeconfig of any user, known by a certificate. It has the rights that roles bind."""
        certificate, key = self.authority.issue(f"user-{user.replace(':', '-')}", user, groups=groups)
        credentials = {"client-certificate": str(certificate), "client-key": str(key)}
        return self._write_kubeconfig(user, credentials, namespace)

    def kubeconfig_of_account(self, account: str, namespace: str) -> Path:
        """A kubeconfig of a ServiceAccount, with a token for an hour."""
        token = self.api.token(account, namespace)
        return self._write_kubeconfig(f"account-{namespace}-{account}", {"token": token}, namespace)

    def _write_kubeconfig(self, user: str, credentials: Object, namespace: str) -> Path:
        cluster = {"server": self.server, "certificate-authority": str(self.authority.certificate)}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "tests", "cluster": cluster}],
            "users": [{"name": user, "user": credentials}],
            "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": user, "namespace": namespace}}],
            "current-context": "tests",
        }
        path = self.place / f"{user.replace(':', '-')}.kubeconfig"
        path.write_text(yaml.safe_dump(document))
        return path

    def kubectl(self, *arguments: str, text: str | None = None, code: int = 0, kubeconfig: Path | None = None) -> str:
        """What kubectl prints, its errors if it ends with one; its exit code must be ``code``."""
        command = [str(tool("kubectl")), "--kubeconfig", str(kubeconfig or self.kubeconfig), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, input=text)
        assert done.returncode == code, (arguments, done.stdout, done.stderr)
        return done.stderr if done.returncode else done.stdout

    def install(self, *origins: Path) -> list[str]:
        """Apply all documents of files and folders on the server; definitions are waited for. Returns their names."""
        documents = [it for origin in origins for it in read_documents(origin)]
        for document in documents:
            self.api.apply({key: value for key, value in document.items() if key != "status"})
        definitions = [it["metadata"]["name"] for it in documents if it["kind"] == "CustomResourceDefinition"]
        for name in definitions:
            self.api.wait("CustomResourceDefinition", name, None, lambda it: condition(it, "Established") == "True")
        return [it["metadata"]["name"] for it in documents]

    def namespace(self, name: str) -> str:
        """A new namespace, with its default ServiceAccount."""
        self.api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        self.api.wait("ServiceAccount", "default", name, bool)
        return name

    def stop_api(self) -> int:
        return self.programs["kube-apiserver"].stop()

    def kill_api(self) -> None:
        self.programs["kube-apiserver"].kill()

    def start_api(self) -> None:
        """Start it again, on the same address and data, and wait until it is ready."""
        self.programs["kube-apiserver"].start()
        self.wait_ready()

    def wait_ready(self) -> None:
        self.wait_answer(f"{self.server}/readyz", self.programs["kube-apiserver"])

    def wait_answer(self, url: str, program: Program, seconds: float = 90) -> None:
        """Until a program that should run answers 200."""
        deadline = time.monotonic() + seconds
        context = ssl.create_default_context(cafile=str(self.authority.certificate))
        with httpx.Client(verify=context) as client:
            while True:
                try:
                    if client.get(url).status_code == 200:
                        return
                except httpx.TransportError:
                    pass
                assert program.runs, f"{program.name} has ended:\n{program.tail()}"
                assert time.monotonic() < deadline, f"{program.name} is not ready:\n{program.tail()}"
                time.sleep(0.05)

    def webhook_client(self, port: int, path: str) -> Object:
        """Where the API server asks a webhook of this machine, whose certificate is of our authority."""
        bundle = base64.b64encode(self.authority.certificate.read_bytes()).decode()
        return {"url": f"https://{self.machine}:{port}{path}", "caBundle": bundle}

    def audited(self) -> list[Object]:
        """The audit log: each request's answer, with user, verb and object, without bodies."""
        lines = (self.place / "audit.log").read_text().splitlines()
        return [json.loads(line) for line in lines]


@contextmanager
def kubernetes_cluster(
    place: Path, *, gates: Mapping[str, bool] | None = None, crds: bool = True
) -> Generator[Cluster]:
    """A control plane in ``place``, a new folder. Skips the test without Go or the rights to make a bridge.

    ``gates`` are feature gates, such as ImageVolume; ``crds`` installs ours.
    """
    if Path(sys.prefix).is_relative_to("/tmp"):
        pytest.skip("pods have a /tmp of their own, which hides this checkout and its Python: clone it elsewhere")
    paths = {name: tool(name) for name in PROGRAMS}
    place.mkdir(parents=True)
    with ExitStack() as stack:
        addresses = stack.enter_context(cluster_addresses())
        cluster = Cluster(place, addresses, make_authority(place), free_port(addresses.machine))
        make_signing_key(place / "accounts.key")
        stack.callback(stop_all, cluster.programs)
        _start(cluster, paths, gates or {})
        if crds:
            cluster.install(DEPLOY / "crds")
        yield cluster


def _start(cluster: Cluster, paths: Mapping[str, Path], gates: Mapping[str, bool]) -> None:
    etcd = free_port(cluster.machine), free_port(cluster.machine)
    flags = ",".join(f"{name}={str(value).lower()}" for name, value in gates.items())
    gate = [f"--feature-gates={flags}"] if flags else []
    commands = {
        "etcd": _etcd(cluster, *etcd),
        "kube-apiserver": [*_api_server(cluster, etcd[0]), *gate],
        "kube-controller-manager": [*_controller_manager(cluster), *gate],
        "kube-scheduler": [*_common(cluster, "scheduler"), *gate],
    }
    for name, arguments in commands.items():
        program = Program(name, [str(paths[name]), *arguments], cluster.place / f"{name}.log")
        cluster.programs[name] = program
        program.start()
        if name == "kube-apiserver":
            cluster.wait_ready()
    kubeconfig = cluster.kubeconfig_of("network", ADMINISTRATORS)
    command = [sys.executable, "-m", "tests.e2e.cluster_network", str(kubeconfig), cluster.addresses.names]
    cluster.programs["network"] = Program("network", command, cluster.place / "network.log")
    cluster.programs["network"].start()
    cluster.api.wait("ServiceAccount", "default", "default", bool)


def _etcd(cluster: Cluster, port: int, peers: int) -> list[str]:
    address, others = f"http://{cluster.machine}:{port}", f"http://{cluster.machine}:{peers}"
    return [
        f"--data-dir={cluster.place / 'etcd'}", "--unsafe-no-fsync", "--log-level=warn",
        f"--listen-client-urls={address}", f"--advertise-client-urls={address}",
        f"--listen-peer-urls={others}", f"--initial-advertise-peer-urls={others}",
        f"--initial-cluster=default={others}",
    ]  # fmt: skip


def _api_server(cluster: Cluster, etcd: int) -> list[str]:
    place, addresses = cluster.place, cluster.addresses
    hosts = (addresses.machine, addresses.first_service, "127.0.0.1", "kubernetes.default.svc", "kubernetes.default")
    certificate, key = cluster.authority.issue("server", "kube-apiserver", hosts=hosts)
    kubelet_certificate, kubelet_key = cluster.authority.issue("to-nodes", "api", groups=(ADMINISTRATORS,))
    policy = {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived", "ResponseStarted"],
        "rules": [{"level": "None", "users": [*_PARTS]}, {"level": "Metadata"}],
    }
    (place / "audit-policy.yaml").write_text(yaml.safe_dump(policy))
    return [
        f"--etcd-servers=http://{addresses.machine}:{etcd}",
        f"--bind-address={addresses.machine}", f"--advertise-address={addresses.machine}",
        f"--secure-port={cluster.port}", f"--tls-cert-file={certificate}", f"--tls-private-key-file={key}",
        f"--client-ca-file={cluster.authority.certificate}", f"--cert-dir={place}",
        f"--kubelet-client-certificate={kubelet_certificate}", f"--kubelet-client-key={kubelet_key}",
        f"--kubelet-certificate-authority={cluster.authority.certificate}",
        "--kubelet-preferred-address-types=InternalIP",
        f"--service-account-key-file={place / 'accounts.key'}",
        f"--service-account-signing-key-file={place / 'accounts.key'}",
        "--service-account-issuer=https://kubernetes.default.svc", "--authorization-mode=RBAC",
        f"--service-cluster-ip-range={addresses.services}",
        f"--audit-policy-file={place / 'audit-policy.yaml'}", f"--audit-log-path={place / 'audit.log'}",
        "--audit-log-mode=blocking", "--shutdown-delay-duration=0s", "--shutdown-watch-termination-grace-period=1s",
        "--default-not-ready-toleration-seconds=2", "--default-unreachable-toleration-seconds=2",
    ]  # fmt: skip


_PARTS = ("controllers", "scheduler", "network")


def _controller_manager(cluster: Cluster) -> list[str]:
    """A node is unreachable after 8 s without a heartbeat, not 50; scaling looks every second, not every 15."""
    return [
        *_common(cluster, "controllers"),
        f"--service-account-private-key-file={cluster.place / 'accounts.key'}",
        f"--root-ca-file={cluster.authority.certificate}",
        "--node-monitor-period=1s", "--node-monitor-grace-period=8s",
        "--horizontal-pod-autoscaler-sync-period=1s", "--horizontal-pod-autoscaler-downscale-stabilization=5s",
        "--horizontal-pod-autoscaler-initial-readiness-delay=0s",
        "--horizontal-pod-autoscaler-cpu-initialization-period=0s",
        "--kube-api-qps=200", "--kube-api-burst=400",
    ]  # fmt: skip


def _common(cluster: Cluster, user: str) -> list[str]:
    kubeconfig = cluster.kubeconfig_of(user, ADMINISTRATORS)
    return [f"--kubeconfig={kubeconfig}", "--leader-elect=false", "--secure-port=0"]


def stop_all(programs: Mapping[str, Program]) -> None:
    """All at once: none of their data is needed again."""
    for program in programs.values():
        program.kill()


def read_documents(origin: Path) -> Generator[Object]:
    """The documents of a file, or of all files of a folder, with a List's items one by one."""
    for path in [origin] if origin.is_file() else sorted(origin.glob("*.yaml")):
        for document in yaml.load_all(path.read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            if document:
                yield from document["items"] if document["kind"] == "List" else [document]


def free_port(address: str) -> int:
    """Not one of those that the kernel gives to clients: one that asks for a server which is away may be given its
    port and meet itself, and the server could not come back."""
    for port in random.sample(range(15_000, 32_000), 100):
        with socket.socket() as listener, suppress(OSError):
            listener.bind((address, port))
            return port
    raise AssertionError(f"{address} has no free port")
