"""Rollouts for real, under load: slow, wrong, failing and crashing servers are rolled back, a good one is not."""

import http.client
import json
import math
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from .platform_machine import PlatformMachine, platform_machine, until

pytestmark = pytest.mark.slow

SERVER = str(Path(__file__).with_name("rollout_server.py"))
WEIGHT = 40
CHECK = "import os, urllib.request as u; assert u.urlopen(os.environ['CANARY_URL']).read() == b'shoes'"
CANARY = {
    "steps": [{"weight": WEIGHT, "pauseSeconds": 3}],
    "verify": {"program": {"command": [sys.executable, "-c", CHECK]}},
    "analysis": {"intervalSeconds": 1, "toleratedShare": 0.1, "slowSeconds": 0.25, "deadlineSeconds": 120},
}


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlatformMachine]:
    with platform_machine(tmp_path_factory.mktemp("r") / "h") as made:
        made.start()
        yield made


@dataclass
class Load:
    """Requests from a few clients, one after another, until it is stopped; ``answers`` counts (version, status)."""

    url: str
    answers: Counter[tuple[str, int]] = field(default_factory=Counter[tuple[str, int]])
    stopped: threading.Event = field(default_factory=threading.Event)

    def client(self) -> None:
        parts = urlsplit(self.url)
        assert parts.hostname
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
        while not self.stopped.is_set():
            connection.request("GET", f"{parts.path.rstrip('/')}/answer")
            response = connection.getresponse()
            response.read()
            self.answers[response.headers.get("X-Version", ""), response.status] += 1
            time.sleep(0.02)
        connection.close()


@contextmanager
def load(url: str, clients: int = 4) -> Iterator[Load]:
    made = Load(url)
    threads = [threading.Thread(target=made.client) for _ in range(clients)]
    for each in threads:
        each.start()
    try:
        yield made
    finally:
        made.stopped.set()
        for each in threads:
            each.join()


def _apply(machine: PlatformMachine, name: str, version: str, behaviour: str, **spec: Any) -> None:
    document = {
        "apiVersion": "lykeion.github.io/v1alpha1",
        "kind": "Serving",
        "metadata": {"name": name},
        "spec": {
            "program": {"command": [sys.executable, SERVER, version, behaviour]},
            "readiness": {"path": "/readyz", "periodSeconds": 1},
            "drainSeconds": 5,
            "canary": CANARY,
            **spec,
        },
    }
    machine.run("apply", "-f", "-", text=yaml.safe_dump(document))


def _status(machine: PlatformMachine, name: str) -> dict[str, Any]:
    return machine.get(f"serving/{name}")["status"]


def _rolled_out(machine: PlatformMachine, behaviour: str) -> tuple[dict[str, Any], Load]:
    """The end of a rollout from a good version to another, under load."""
    name = f"shop-{behaviour}"
    _apply(machine, name, "one", "good")
    machine.run("wait", f"serving/{name}", "--for", "condition=Ready", "--timeout", "60")
    with load(_status(machine, name)["url"]) as requests:
        _apply(machine, name, "two", behaviour)
        until(lambda: _status(machine, name).get("history"), f"{behaviour}: no end of the rollout", seconds=150)
        until(lambda: not _status(machine, name).get("rollout"))
        before = requests.answers.total()
        until(lambda: requests.answers.total() > before + 50)
    return _status(machine, name)["history"][-1], requests


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [("failing", "Harm"), ("slow", "Harm"), ("crashing", "Crashed"), ("wrong", "VerifyFailed")],
)
def test_a_bad_version_is_rolled_back_and_no_request_on_the_stable_side_fails(
    machine: PlatformMachine, behaviour: str, reason: str
) -> None:
    end, requests = _rolled_out(machine, behaviour)
    assert (end["outcome"], end["reason"]) == ("RolledBack", reason)
    assert {status for version, status in requests.answers if version == "one"} == {200}
    assert [group for group in _groups(machine, f"shop-{behaviour}") if group["status"]["ready"] != 1] == []
    assert len(_groups(machine, f"shop-{behaviour}")) == 1


def test_a_good_version_is_promoted_with_the_weight_that_was_asked_for_and_no_request_fails(
    machine: PlatformMachine,
) -> None:
    end, requests = _rolled_out(machine, "good")
    assert (end["outcome"], end["reason"]) == ("Promoted", "Promoted")
    assert {status for _, status in requests.answers} == {200}
    one, two = _during_the_step(machine, "shop-good")
    share, total = two / (one + two), one + two
    assert abs(share - WEIGHT / 100) < 4 * math.sqrt(0.25 / total), (one, two)


def _groups(machine: PlatformMachine, serving: str) -> list[dict[str, Any]]:
    everything = json.loads(machine.run("get", "replicagroup", "-o", "json"))["items"]
    return [each for each in everything if each["metadata"]["ownerReferences"][0]["name"] == serving]


def _during_the_step(machine: PlatformMachine, service: str) -> tuple[int, int]:
    """Requests to the old and the new version, from the first to the new to the last to the old, by the log."""
    (log,) = machine.home.rglob("requests.log")
    groups = [line["group"] for line in map(json.loads, log.read_text().splitlines()) if line["service"] == service]
    new, old = groups[-1], groups[0]
    step = groups[groups.index(new) : len(groups) - groups[::-1].index(old)]
    return step.count(old), step.count(new)


def test_a_platform_that_is_killed_midway_goes_on_and_no_request_fails(tmp_path: Path) -> None:
    with platform_machine(tmp_path / "h") as machine:
        machine.start()
        _apply(machine, "shop", "one", "good")
        machine.run("wait", "serving/shop", "--for", "condition=Ready", "--timeout", "60")
        with load(_status(machine, "shop")["url"]) as requests:
            _apply(machine, "shop", "two", "good")
            until(lambda: any(version == "two" for version, _ in requests.answers))
            machine.kill()
            machine.start()
            until(lambda: _status(machine, "shop").get("history"), seconds=150)
        assert _status(machine, "shop")["history"][-1]["outcome"] == "Promoted"
        assert {status for _, status in requests.answers} == {200}
        assert len(_groups(machine, "shop")) == 1


def test_a_person_aborts_a_rollout_and_promotes_the_version_after_all(machine: PlatformMachine) -> None:
    steps = {"steps": [{"weight": WEIGHT, "pauseSeconds": 3600}]}
    _apply(machine, "by-hand", "one", "good", canary=steps)
    machine.run("wait", "serving/by-hand", "--for", "condition=Ready", "--timeout", "60")
    assert "has no rollout to abort" in machine.run("abort", "serving/by-hand", code=2)
    _apply(machine, "by-hand", "two", "good", canary=steps)
    until(lambda: _status(machine, "by-hand").get("rollout", {}).get("weight") == WEIGHT)
    assert machine.run("abort", "serving/by-hand") == "serving/by-hand aborted\n"
    until(lambda: _status(machine, "by-hand").get("rejected"))
    assert machine.run("promote", "serving/by-hand") == "serving/by-hand promoted\n"
    machine.run("wait", "serving/by-hand", "--for", "condition=Ready", "--timeout", "60")
    assert [each["reason"] for each in _status(machine, "by-hand")["history"]] == ["Aborted", "Promoted"]


def test_replicas_follow_the_requests_in_flight(machine: PlatformMachine) -> None:
    scaling = {"maxReplicas": 2, "targetInFlight": 0.5}
    _apply(machine, "busy", "one", "slow", canary=None, autoscaling=scaling)
    machine.run("wait", "serving/busy", "--for", "condition=Ready", "--timeout", "60")
    with load(_status(machine, "busy")["url"], clients=8):
        until(lambda: _status(machine, "busy")["ready"] == 2, seconds=90)
    assert "from 1 to 2 replicas" in machine.run("events", "serving/busy")
