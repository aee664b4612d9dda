"""An index is tried as often as its retries allow, however often its resource is suspended: wherever it runs."""

import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from lykeion.platform.controllers.batch_controller import BATCH_EXECUTIONS
from lykeion.platform.kubernetes.objects.translation import ClusterFacts

from .cluster_controllers import cluster_controllers
from .kubernetes_api import condition
from .kubernetes_cluster import Cluster
from .platform_machine import PlatformMachine, platform_machine, until

pytestmark = pytest.mark.slow
IMAGE = "host.local/lykeion"
USER = 65532
KIND = "BatchExecution"
HEAD = {"apiVersion": "lykeion.github.io/v1alpha1", "kind": KIND}
SCRIPT = """
begun=$(mktemp)
trap 'exit 0' TERM
until test PLACE/fails -nt $begun; do sleep .1; done
exit 7
"""
"""Runs until a file is touched, which ends the attempt that runs then."""


@dataclass
class Place:
    """``restarted`` is a time without the platform or its operator."""

    folder: Path
    program: dict[str, Any]
    create: Callable[[dict[str, Any]], object]
    change: Callable[[dict[str, Any]], object]
    get: Callable[[], dict[str, Any]]
    restarted: Callable[[], AbstractContextManager[None]]

    def batch(self, **spec: Any) -> None:
        (self.folder / "fails").touch()
        script = SCRIPT.replace("PLACE", str(self.folder))
        self.create({"program": {**self.program, "command": ["sh", "-c", script]}, **spec})

    def fail(self, times: int) -> None:
        """The next attempts, to so many in all."""
        failures = 0
        while failures < times:
            failures = len(self.wait(lambda status: status.get("active") == "0")["failures"]) + 1
            time.sleep(1)  # until its script has begun
            (self.folder / "fails").touch()
            self.wait(lambda status, failures=failures: len(status["failures"]) >= failures)

    def wait(self, holds: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        until(lambda: holds(self.get().get("status", {})), seconds=120)
        return self.get()["status"]

    def is_true(self, type_: str) -> bool:
        return condition(self.get(), type_) == "True"


@pytest.fixture
def machine(tmp_path: Path) -> Generator[Place]:
    with platform_machine(tmp_path / "h") as made:
        made.start()
        yield _on_machine(made)


def _on_machine(made: PlatformMachine) -> Place:
    @contextmanager
    def restarted() -> Generator[None]:
        made.kill()
        yield
        made.start()

    def change(spec: dict[str, Any]) -> None:
        batch = made.get()
        made.apply(**{**batch["spec"], **spec})

    return Place(made.place, {}, lambda spec: made.apply(**spec), change, made.get, restarted)


@pytest.fixture
def in_cluster(cluster: Cluster, namespace: str) -> Generator[Place]:
    """Its programs see the files of this machine, but those of /tmp."""
    facts = ClusterFacts(image=IMAGE)
    running = [_operator(cluster, namespace, facts)]
    running[0].__enter__()

    @contextmanager
    def restarted() -> Generator[None]:
        running.pop().__exit__(None, None, None)
        yield
        running.append(_operator(cluster, namespace, facts))
        running[0].__enter__()

    def create(spec: dict[str, Any]) -> None:
        cluster.api.create({**HEAD, "metadata": {"name": "embed", "namespace": namespace}, "spec": spec})

    program = {"image": IMAGE, "pod": {"runAsUser": USER}}
    with TemporaryDirectory(dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        yield Place(
            Path(folder),
            program,
            create,
            lambda spec: cluster.api.patch(KIND, "embed", namespace, {"spec": spec}),
            lambda: cluster.api.get(KIND, "embed", namespace),
            restarted,
        )
    running.pop().__exit__(None, None, None)


def _operator(cluster: Cluster, namespace: str, facts: ClusterFacts) -> AbstractContextManager[None]:
    return cluster_controllers(cluster, namespace, [BATCH_EXECUTIONS], facts)


@pytest.fixture(params=["machine", "in_cluster"])
def place(request: pytest.FixtureRequest) -> Place:
    return request.getfixturevalue(request.param)


def test_retries_that_were_used_before_a_suspension_stay_used(place: Place) -> None:
    """Suspended while an attempt runs, which is not counted, and resumed after the platform was away."""
    place.batch(shards={"count": 1}, retries=2)
    place.fail(1)
    place.wait(lambda status: status.get("active") == "0")
    place.change({"suspend": True})
    place.wait(lambda status: place.is_true("Suspended"))
    with place.restarted():
        pass
    place.change({"suspend": False})
    place.fail(3)
    status = place.wait(lambda status: place.is_true("Failed"))
    assert [each["exitCode"] for each in status["failures"]] == [7, 7, 7]
    assert status["failed"] == "0"


def test_retries_that_are_added_while_it_is_suspended_are_further_ones(place: Place) -> None:
    place.batch(shards={"count": 1}, retries=1)
    place.fail(1)
    place.change({"suspend": True})
    place.wait(lambda status: place.is_true("Suspended"))
    place.change({"suspend": False, "retries": 2})
    place.fail(3)
    status = place.wait(lambda status: place.is_true("Failed"))
    assert len(status["failures"]) == 3
