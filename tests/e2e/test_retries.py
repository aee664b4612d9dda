"""An index is tried as often as its retries allow, however often its resource is suspended: wherever it runs."""

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
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
HOLDS = "holds"
SCRIPT = "test -e PLACE/holds || { echo broken; exit 7; }; trap 'exit 0' TERM; sleep 600 & wait"
"""Fails at once, or runs until it is stopped if there is a file: that of the last test of a run, in its place."""


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
        script = SCRIPT.replace("PLACE", str(self.folder))
        self.create({"program": {**self.program, "command": ["sh", "-c", script]}, **spec})

    def hold(self, held: bool) -> None:
        if held:
            (self.folder / HOLDS).touch()
        else:
            (self.folder / HOLDS).unlink()

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
def in_cluster(cluster: Cluster, namespace: str, tmp_path: Path) -> Generator[Place]:
    """Its programs see the files of this machine."""
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
    for each in (tmp_path, *tmp_path.parents[:2]):
        each.chmod(0o755)
    yield Place(
        tmp_path,
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
    place.wait(lambda status: status.get("failures"))
    place.hold(True)
    before = place.wait(lambda status: status.get("active") == "0")["failures"]
    assert len(before) <= 2
    place.change({"suspend": True})
    place.wait(lambda status: place.is_true("Suspended"))
    with place.restarted():
        place.hold(False)
    place.change({"suspend": False})
    status = place.wait(lambda status: place.is_true("Failed"))
    assert [each["exitCode"] for each in status["failures"]] == [7, 7, 7]
    assert status["failed"] == "0"


def test_retries_that_are_added_while_it_is_suspended_are_further_ones(place: Place) -> None:
    place.batch(shards={"count": 1}, retries=1)
    place.wait(lambda status: status.get("failures"))
    place.change({"suspend": True})
    place.wait(lambda status: place.is_true("Suspended"))
    place.change({"suspend": False, "retries": 2})
    status = place.wait(lambda status: place.is_true("Failed"))
    assert len(status["failures"]) == 3
