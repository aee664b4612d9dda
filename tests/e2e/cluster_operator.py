"""The operator as a process beside a cluster of the tests, with the rights of an administrator or of an account."""

import re
import subprocess
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from .kubernetes_api import Object, condition
from .kubernetes_cluster import Cluster, Program

COMMAND = [sys.executable, "-c", "from lykeion.cli import main; main()", "operator", "run"]
SYSTEM = "lykeion-system"


@dataclass
class ClusterOperator:
    """``url`` is that of its metrics and health; ``home`` its data directory, registry included."""

    cluster: Cluster
    program: Program
    home: Path
    url: str = ""

    def start(self) -> "ClusterOperator":
        before = self.program.log.stat().st_size if self.program.log.exists() else 0
        self.program.start()
        while not (found := re.search(r"answers on (http\S+)", self._log()[before:])):
            assert self.program.runs, self._log()
            assert self.program.process
            with suppress(subprocess.TimeoutExpired):
                self.program.process.wait(0.05)
        self.url = found[1]
        return self

    def _log(self) -> str:
        return self.program.log.read_text() if self.program.log.exists() else ""

    def get(self, path: str) -> httpx.Response:
        return httpx.get(self.url + path, timeout=60)

    def metric(self, name: str) -> float:
        """The sum of all series of a metric, by the start of their names."""
        lines = [each for each in self.get("/metrics").text.splitlines() if each.startswith(name)]
        return sum(float(each.rsplit(" ", 1)[1]) for each in lines)

    def wait(self) -> int:
        """Until it ends by itself. Returns its exit code."""
        assert self.program.process
        return self.program.process.wait(60)


@contextmanager
def short_operator(
    cluster: Cluster, place: Path, name: str, kill: str = "never", kubeconfig: Path | None = None
) -> Generator[ClusterOperator]:
    """A short-lived one: the next need not wait for its Lease. ``kill`` is of ``cluster_kill_points``."""
    place.mkdir(parents=True, exist_ok=True)
    root = Path(__file__).parents[2]
    variables = {
        "KUBECONFIG": str(kubeconfig or cluster.kubeconfig),
        "LYKEION_HOME": str(place / "home"),
        "PYTHONPATH": f"{root}:{root / 'src'}",
    }
    command = [sys.executable, "-m", "tests.e2e.cluster_kill_points", kill, name]
    made = ClusterOperator(cluster, Program(name, command, place / f"{name}.log", variables), place / "home")
    try:
        yield made.start()
    finally:
        made.program.kill()
        expire_lease(cluster)


def expire_lease(cluster: Cluster) -> None:
    """As 15 s do: a Lease that is short instead is lost on a busy machine, and its operator ends."""
    if cluster.api.find("Lease", "lykeion-operator", "default"):
        cluster.api.delete("Lease", "lykeion-operator", "default")


@contextmanager
def cluster_operator(
    cluster: Cluster,
    place: Path,
    *options: str,
    kubeconfig: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Generator[ClusterOperator]:
    place.mkdir(parents=True, exist_ok=True)
    home = place / "home"
    variables = {
        "KUBECONFIG": str(kubeconfig or cluster.kubeconfig),
        "LYKEION_HOME": str(home),
        **(environment or {}),
    }
    command = [*COMMAND, "--host", "127.0.0.1", "--port", "0", "--namespace", "default", *options]
    program = Program("operator", command, place / "operator.log", variables)
    made = ClusterOperator(cluster, program, home)
    try:
        yield made.start()
    finally:
        if program.process:
            program.stop()  # which gives the next operator its Lease


def training(script: str, namespace: str, name: str = "shoes", **spec: Any) -> Object:
    program = {"image": "host.local/shell", "command": ["sh", "-c", script], "pod": {"runAsUser": 65532}}
    return {
        "apiVersion": "lykeion.github.io/v1alpha1",
        "kind": "Training",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"program": program, **spec},
    }


def has_ended(it: Object) -> bool:
    return bool(it) and any(condition(it, each) for each in ("Complete", "Failed"))
