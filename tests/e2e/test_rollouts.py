"""Rollouts for real, under load: slow, wrong, failing and crashing servers are rolled back, a good one is not."""

import asyncio
import http.client
import json
import math
import shutil
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from lykeion.control import Key
from lykeion.nets import LOGITS, random_weights, write_litert
from lykeion.platform import KINDS, connect
from tests.model_server.tiny import CARD, NETWORK, rows

from .platform_machine import PlatformMachine, platform_machine, until

pytestmark = pytest.mark.slow

SERVER = str(Path(__file__).with_name("rollout_server.py"))
INDEX = Path(__file__).parents[1] / "fixtures" / "index-v1"
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


Ask = Callable[[http.client.HTTPConnection, str], tuple[str, int]]
"""Asks the service at a path, and returns the version that answered, with the status."""


def _answer(connection: http.client.HTTPConnection, path: str) -> tuple[str, int]:
    connection.request("GET", f"{path}/answer")
    response = connection.getresponse()
    response.read()
    return response.headers.get("X-Version", ""), response.status


@dataclass
class Load:
    """Requests from a few clients, one after another, until it is stopped."""

    url: str
    ask: Ask
    answers: Counter[tuple[str, int]] = field(default_factory=Counter[tuple[str, int]])
    stopped: threading.Event = field(default_factory=threading.Event)

    def client(self) -> None:
        parts = urlsplit(self.url)
        assert parts.hostname
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
        while not self.stopped.is_set():
            self.answers[self.ask(connection, parts.path.rstrip("/"))] += 1
            time.sleep(0.02)
        connection.close()

    @property
    def versions(self) -> set[str]:
        return {version for version, _ in self.answers}


@contextmanager
def load(url: str, clients: int = 4, ask: Ask = _answer) -> Iterator[Load]:
    made = Load(url, ask)
    threads = [threading.Thread(target=made.client) for _ in range(clients)]
    for each in threads:
        each.start()
    try:
        yield made
    finally:
        made.stopped.set()
        for each in threads:
            each.join()


def _apply(machine: PlatformMachine, name: str, spec: dict[str, Any]) -> None:
    head = {"apiVersion": "lykeion.github.io/v1alpha1", "kind": "Serving", "metadata": {"name": name}}
    machine.run("apply", "-f", "-", text=yaml.safe_dump({**head, "spec": spec}))


def _serve(machine: PlatformMachine, name: str, version: str, behaviour: str, **spec: Any) -> None:
    program = {"command": [sys.executable, SERVER, version, behaviour]}
    readiness = {"path": "/readyz", "periodSeconds": 1}
    _apply(machine, name, {"program": program, "readiness": readiness, "drainSeconds": 5, "canary": CANARY, **spec})


def _until_ready(machine: PlatformMachine, name: str) -> None:
    machine.run("wait", f"serving/{name}", "--timeout", "120")


def _status(machine: PlatformMachine, name: str) -> dict[str, Any]:
    async def asked() -> dict[str, Any]:
        async with connect(KINDS, machine.home / "platform") as store:
            return (await store.get(Key("Serving", "default", name))).document()["status"]

    return asyncio.run(asked())


def _rolled_out(machine: PlatformMachine, behaviour: str) -> tuple[dict[str, Any], Load]:
    """The end of a rollout from a good version to another, under load."""
    name = f"shop-{behaviour}"
    _serve(machine, name, "one", "good")
    _until_ready(machine, name)
    with load(_status(machine, name)["url"]) as requests:
        _serve(machine, name, "two", behaviour)
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
    assert (end["outcome"], end["reason"]) == ("RolledBack", reason), end
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
    return _children(machine, "replicagroup", serving)


def _children(machine: PlatformMachine, kind: str, serving: str) -> list[dict[str, Any]]:
    everything = json.loads(machine.run("get", kind, "-o", "json"))["items"]
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
        _serve(machine, "shop", "one", "good")
        _until_ready(machine, "shop")
        with load(_status(machine, "shop")["url"]) as requests:
            _serve(machine, "shop", "two", "good")
            until(lambda: "two" in requests.versions)
            machine.kill()
            machine.start()
            until(lambda: _status(machine, "shop").get("history"), seconds=150)
        assert _status(machine, "shop")["history"][-1]["outcome"] == "Promoted"
        assert {status for _, status in requests.answers} == {200}
        assert len(_groups(machine, "shop")) == 1


def test_a_person_aborts_a_rollout_and_promotes_the_version_after_all(machine: PlatformMachine) -> None:
    steps = {"steps": [{"weight": WEIGHT, "pauseSeconds": 3600}]}
    _serve(machine, "by-hand", "one", "good", canary=steps)
    _until_ready(machine, "by-hand")
    assert "has no rollout to abort" in machine.run("abort", "serving/by-hand", code=2)
    _serve(machine, "by-hand", "two", "good", canary=steps)
    until(lambda: _status(machine, "by-hand").get("rollout", {}).get("weight") == WEIGHT)
    assert machine.run("abort", "serving/by-hand") == "serving/by-hand aborted\n"
    until(lambda: _status(machine, "by-hand").get("rejected"))
    assert machine.run("promote", "serving/by-hand") == "serving/by-hand promoted\n"
    _until_ready(machine, "by-hand")
    assert [each["reason"] for each in _status(machine, "by-hand")["history"]] == ["Aborted", "Promoted"]


def test_replicas_follow_the_requests_in_flight(machine: PlatformMachine) -> None:
    scaling = {"maxReplicas": 2, "targetInFlight": 0.5}
    _serve(machine, "busy", "one", "slow", canary=None, autoscaling=scaling)
    _until_ready(machine, "busy")
    with load(_status(machine, "busy")["url"], clients=8):
        until(lambda: _status(machine, "busy")["ready"] == 2, seconds=90)
    assert "from 1 to 2 replicas" in machine.run("events", "serving/busy")


def _infer(connection: http.client.HTTPConnection, path: str) -> tuple[str, int]:
    image = {"name": "image", "datatype": "FP32", "shape": [1, 8, 8, 3], "data": rows(1).ravel().tolist()}
    connection.request("POST", f"{path}/v2/models/tiny/infer", json.dumps({"inputs": [image]}))
    response = connection.getresponse()
    return json.loads(response.read()).get("model_version", ""), response.status


def _push(machine: PlatformMachine, directory: Path, seed: int) -> None:
    content = write_litert(NETWORK, random_weights(NETWORK, seed), output=LOGITS)
    directory.mkdir(exist_ok=True)
    (directory / "model.tflite").write_bytes(content)
    (directory / "model.json").write_text(CARD.to_json())
    machine.run("models", "push", str(directory), "tiny:champion", "--quiet")


def test_a_model_follows_its_alias_and_no_request_fails(machine: PlatformMachine, tmp_path: Path) -> None:
    _push(machine, tmp_path / "tiny", 1)
    _apply(machine, "tiny", {"model": {"reference": "tiny:champion", "checkSeconds": 5}})
    _until_ready(machine, "tiny")
    with load(_status(machine, "tiny")["url"], clients=2, ask=_infer) as requests:
        _push(machine, tmp_path / "tiny", 2)
        until(lambda: _status(machine, "tiny").get("history"), seconds=120)
        until(lambda: len(requests.versions) == 2)
    assert {status for _, status in requests.answers} == {200}
    assert _status(machine, "tiny")["stable"]["artifact"].rpartition("@")[2] in requests.versions


def _push_index(machine: PlatformMachine, directory: Path) -> None:
    machine.run("models", "push", str(directory), "shop-index:current", "--all-files", "--quiet")


def _healthz(connection: http.client.HTTPConnection, path: str) -> tuple[str, int]:
    connection.request("GET", f"{path}/healthz")
    response = connection.getresponse()
    return json.loads(response.read()).get("since", ""), response.status


def test_an_index_of_the_registry_follows_its_alias_and_no_request_fails(
    machine: PlatformMachine, tmp_path: Path
) -> None:
    _push_index(machine, INDEX)
    _apply(machine, "search", {"index": {"reference": "shop-index:current", "checkSeconds": 5}})
    _until_ready(machine, "search")
    with load(_status(machine, "search")["url"], clients=2, ask=_healthz) as requests:
        other = shutil.copytree(INDEX, tmp_path / "other")
        (other / "note.txt").write_text("of today")
        _push_index(machine, other)
        until(lambda: len(requests.versions) == 2, seconds=120)
        until(lambda: len(_groups(machine, "search")) == 1)
    assert {status for _, status in requests.answers} == {200}
    assert len(_children(machine, "volume", "search")) == 1  # that of the old index is deleted
