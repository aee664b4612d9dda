"""A server with devices that call it: enrolment, desired state, a rollout that halts, and files with ranges."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lykeion.delivery.device_service import fleet_directory
from tests.delivery.fleet import Fleet

from .platform_machine import until

pytestmark = pytest.mark.slow

DEVICES = 120


@dataclass
class Caller:
    """A device that runs what it is told. ``crashes`` are the versions that crash on it."""

    url: str
    crashes: frozenset[int] = frozenset()
    running: int = 0
    events: int = 0
    token: str = ""
    http: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=60, trust_env=False))

    def enrol(self, token: str, **attributes: Any) -> None:
        key = Ed25519PrivateKey.generate().public_key().public_bytes_raw().hex()
        made = self._post("enrol", {"token": token, "public_key": key, "attributes": attributes})
        self.token = made["token"]

    def call(self) -> dict[str, Any]:
        """Report, and take what is to run."""
        models = {"shoes": {"running": self.running, "file": "", "step": "idle", "failed": 0, "cause": ""}}
        state = {"software": "1", "runtime": "2.1.0", "attributes": {}, "models": models if self.running else {}}
        desired = self._post("state", state)
        if target := desired["targets"].get("shoes"):
            self.running = int(target.split("/")[1][1:])
        if self.running in self.crashes:
            self.events += 1
            event = {
                "id": self.events,
                "kind": "health",
                "name": "crash",
                "at": time.time(),
                "fields": {"model": "shoes"},
            }
            self._post("events", {"events": [event], "dropped": {}})
        return desired

    def _post(self, call: str, body: dict[str, Any]) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        while True:
            answer = self.http.post(f"{self.url}/v1/device/{call}", json=body, headers=headers)
            if answer.status_code not in (429, 503):
                break
            time.sleep(float(answer.headers["Retry-After"]) / 10)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else {}


@dataclass
class Server:
    home: Path
    url: str

    def run(self, *arguments: str, code: int = 0) -> str:
        command = [sys.executable, "-c", "from lykeion.cli import main; main()", *arguments]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=120, env=dict(os.environ))
        assert ended.returncode == code, ended.stderr
        return ended.stdout if code == 0 else ended.stderr

    def rollout(self, name: str) -> dict[str, Any]:
        return json.loads(self.run("rollout", "describe", name, "--json"))["status"]


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """With two published versions of shoes."""
    monkeypatch.setenv("LYKEION_HOME", str(tmp_path / "home"))
    fleet = Fleet(tmp_path)
    fleet.init()
    for seed in (1, 2):
        fleet.publish(seed)
    command = [sys.executable, "-c", "from lykeion.cli import main; main()"]
    arguments = ["delivery", "serve", "--repository", str(fleet.home), "--port", "0", "--per-client", "1000"]
    process = subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE, text=True, env=dict(os.environ))
    assert process.stdout
    line = process.stdout.readline()
    yield Server(tmp_path, line.rsplit(" ", 1)[-1].strip())
    process.terminate()
    assert process.wait(60) == 0


@pytest.fixture
def callers(server: Server) -> list[Caller]:
    token = server.run("delivery", "token", "--uses", str(DEVICES)).strip()
    made = [Caller(server.url, frozenset({2})) for _ in range(DEVICES)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda each: each.enrol(token), made))
    return made


def _calling(callers: list[Caller], done: Callable[[], bool], what: str, seconds: float = 120) -> None:
    """All devices call again and again, until something is so."""
    deadline = time.monotonic() + seconds
    with ThreadPoolExecutor(4) as pool:
        while not done():
            assert time.monotonic() < deadline, what
            list(pool.map(lambda each: each.call(), callers))


def test_a_bad_version_is_halted_in_its_first_wave_and_devices_return(server: Server, callers: list[Caller]) -> None:
    _calling(callers, lambda: all(each.running == 1 for each in callers), "the oldest version is not everywhere")
    started = server.run(
        *("rollout", "start", "shoes:v2", "--name", "bad", "--waves", "30%,100%", "--soak", "1h", "--interval", "1s"),
        *("--halt", "crash x2"),
    )
    assert "rollout bad has begun" in started
    _calling(callers, lambda: server.rollout("bad")["state"] == "Halted", "it is not halted")
    status = server.rollout("bad")
    assert (status["reason"], status["wave"], status["returns"]) == ("Harm", 1, True)
    assert 10 < status["assigned"] < 70
    assert max(each.events for each in callers) >= 1
    _calling(callers, lambda: all(each.running == 1 for each in callers), "devices have not returned")
    assert "Halted" in server.run("rollout", "get")
    assert "crash x2: " in server.run("rollout", "describe", "bad")


def test_a_good_version_goes_wave_by_wave_to_all_devices(server: Server, callers: list[Caller]) -> None:
    for each in callers:
        each.crashes = frozenset()
    server.run(
        *("rollout", "start", "shoes:champion", "--name", "good", "--waves", "30%,100%", "--soak", "2s"),
        *("--interval", "1s", "--halt", "crash x2", "--approvals", "1"),
    )
    until(lambda: server.rollout("good")["reason"] == "NotApproved")
    server.run("rollout", "approve", "good", "--by", "ann")
    _calling(
        callers,
        lambda: server.rollout("good")["reason"] == "NotApproved" and bool(server.rollout("good")["wave"]),
        "wave 1",
    )
    moved = sum(each.running == 2 for each in callers)
    assert 10 < moved < 70
    server.run("rollout", "approve", "good", "--by", "ann")
    _calling(callers, lambda: server.rollout("good")["state"] == "Complete", "it is not complete")
    _calling(callers, lambda: all(each.running == 2 for each in callers), "not all devices run it")


def test_devices_can_be_pinned_quarantined_and_revoked(server: Server, callers: list[Caller]) -> None:
    one, two, three, *_ = callers
    names = [each["device"] for each in json.loads(server.run("delivery", "devices", "list", "--json"))]
    assert len(names) == DEVICES
    for each in (one, two, three):
        each.call()
    listed = json.loads(server.run("delivery", "devices", "list", "--json"))
    used = [each["device"] for each in listed if each["software"]]
    assert len(used) == 3
    server.run("delivery", "devices", "pin", used[0], "shoes", "v2")
    server.run("delivery", "devices", "set", used[1], "quarantine")
    server.run("delivery", "devices", "set", used[2], "revoke")
    answers = []
    for each in (one, two, three):
        state = {"software": "1", "runtime": "2", "attributes": {}, "models": {}}
        headers = {"Authorization": f"Bearer {each.token}"}
        answers.append(each.http.post(f"{server.url}/v1/device/state", json=state, headers=headers))
    by_status = sorted((each.status_code, (each.json().get("targets") or {}).get("shoes", "")) for each in answers)
    assert by_status == [(200, ""), (200, "shoes/v2/any"), (401, "")]
    assert "shoes: 2" in server.run("delivery", "devices", "show", used[0])


def test_the_files_of_the_repository_come_whole_or_in_part_and_nothing_else(server: Server) -> None:
    http = httpx.Client(base_url=server.url, trust_env=False)
    timestamp = http.get("/metadata/timestamp.json")
    assert timestamp.json()["signed"]["_type"] == "timestamp"
    part = http.get("/metadata/timestamp.json", headers={"Range": "bytes=2-5"})
    assert (part.status_code, part.content) == (206, timestamp.content[2:6])
    for path in (
        "/metadata/../../keys",
        "/metadata/%2e%2e/keys",
        "/targets/",
        "/published/shoes/v1.json",
    ):
        assert http.get(path).status_code in (404, 405), path


def test_calls_without_credential_or_of_the_wrong_shape_are_refused_in_one_line(server: Server) -> None:
    http = httpx.Client(base_url=server.url, trust_env=False)
    for headers in ({}, {"Authorization": "Bearer guess"}, {"Authorization": "Basic x"}):
        answer = http.post("/v1/device/state", json={}, headers=headers)
        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    answer = http.post("/v1/device/enrol", json={"token": 5})
    assert answer.status_code in (400, 422)
    assert "\n" not in answer.json()["error"]
    assert http.post("/v1/device/enrol", content=b" " * (2 << 20)).status_code == 413


def test_a_second_server_of_one_fleet_is_refused(server: Server, tmp_path: Path) -> None:
    error = server.run("delivery", "serve", "--repository", str(tmp_path / "tuf"), "--port", "0", code=2)
    assert "serves this fleet already" in error
    assert fleet_directory().is_dir()


def test_the_device_client_enrols_updates_and_follows_what_it_is_told(server: Server, tmp_path: Path) -> None:
    root, home = tmp_path / "tuf" / "public" / "metadata" / "1.root.json", ("--home", str(tmp_path / "device"))
    token = server.run("delivery", "token").strip()
    server.run("device", "enroll", server.url, token, "--root", str(root), "--attribute", "memory_mb=4096", *home)
    server.run("device", "run", "--once", *home)
    server.run("device", "run", "--once", *home)
    (known,) = json.loads(server.run("delivery", "devices", "list", "--json"))
    assert known["models"]["shoes"]["running"] == 1
    server.run("delivery", "devices", "pin", known["device"], "shoes", "v2")
    server.run("device", "run", "--once", *home)
    server.run("device", "run", "--once", *home)
    (known,) = json.loads(server.run("delivery", "devices", "list", "--json"))
    assert known["models"]["shoes"]["running"] == 2
    server.run("delivery", "devices", "set", known["device"], "revoke")
    server.run("device", "run", "--once", *home)  # it goes on with what it has
    (known,) = json.loads(server.run("delivery", "devices", "list", "--json"))
    assert known["state"] == "revoked"
    assert "shoes" in server.run("device", "status", *home)
