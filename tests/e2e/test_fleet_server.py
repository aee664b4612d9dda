"""A server with devices that call it: enrolment, desired state, a rollout that halts, and files with ranges."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from lykeion.delivery.device_service import fleet_directory

from .fleet_machine import Caller, FleetMachine, calling, fleet_machine
from .platform_machine import until

pytestmark = pytest.mark.slow

DEVICES = 120


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FleetMachine]:
    with fleet_machine(tmp_path) as made:
        yield made


@pytest.fixture
def callers(server: FleetMachine) -> list[Caller]:
    token = server.run("delivery", "token", "--uses", str(DEVICES)).strip()
    made = [Caller(server.url, frozenset({2})) for _ in range(DEVICES)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda each: each.enrol(token), made))
    return made


def test_a_bad_version_is_halted_in_its_first_wave_and_devices_return(
    server: FleetMachine, callers: list[Caller]
) -> None:
    calling(callers, lambda: all(each.running == 1 for each in callers), "the oldest version is not everywhere")
    started = server.run(
        *("rollout", "start", "shoes:v2", "--name", "bad", "--waves", "30%,100%", "--soak", "1h", "--interval", "1s"),
        *("--halt", "crash x2"),
    )
    assert "rollout bad has begun" in started
    calling(callers, lambda: server.rollout("bad")["state"] == "Halted", "it is not halted")
    status = server.rollout("bad")
    assert (status["reason"], status["wave"], status["returns"]) == ("Harm", 1, True)
    assert 10 < status["assigned"] < 70
    assert max(each.events for each in callers) >= 1
    calling(callers, lambda: all(each.running == 1 for each in callers), "devices have not returned")
    assert "Halted" in server.run("rollout", "get")
    assert "crash x2: " in server.run("rollout", "describe", "bad")


def test_a_good_version_goes_wave_by_wave_to_all_devices(server: FleetMachine, callers: list[Caller]) -> None:
    for each in callers:
        each.crashes = frozenset()
    server.run(
        *("rollout", "start", "shoes:champion", "--name", "good", "--waves", "30%,100%", "--soak", "2s"),
        *("--interval", "1s", "--halt", "crash x2", "--approvals", "1"),
    )
    until(lambda: server.rollout("good")["reason"] == "NotApproved")
    server.run("rollout", "approve", "good", "--by", "ann")
    calling(
        callers,
        lambda: server.rollout("good")["reason"] == "NotApproved" and bool(server.rollout("good")["wave"]),
        "wave 1",
    )
    moved = sum(each.running == 2 for each in callers)
    assert 10 < moved < 70
    server.run("rollout", "approve", "good", "--by", "ann")
    calling(callers, lambda: server.rollout("good")["state"] == "Complete", "it is not complete")
    calling(callers, lambda: all(each.running == 2 for each in callers), "not all devices run it")


def test_devices_can_be_pinned_quarantined_and_revoked(server: FleetMachine, callers: list[Caller]) -> None:
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


def test_the_files_of_the_repository_come_whole_or_in_part_and_nothing_else(server: FleetMachine) -> None:
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


def test_calls_without_credential_or_of_the_wrong_shape_are_refused_in_one_line(server: FleetMachine) -> None:
    http = httpx.Client(base_url=server.url, trust_env=False)
    for headers in ({}, {"Authorization": "Bearer guess"}, {"Authorization": "Basic x"}):
        answer = http.post("/v1/device/state", json={}, headers=headers)
        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    answer = http.post("/v1/device/enrol", json={"token": 5})
    assert answer.status_code in (400, 422)
    assert "\n" not in answer.json()["error"]
    assert http.post("/v1/device/enrol", content=b" " * (2 << 20)).status_code == 413


def test_a_second_server_of_one_fleet_is_refused(server: FleetMachine, tmp_path: Path) -> None:
    error = server.run("delivery", "serve", "--repository", str(tmp_path / "tuf"), "--port", "0", code=2)
    assert "serves this fleet already" in error
    assert fleet_directory().is_dir()


def test_the_device_client_enrols_updates_and_follows_what_it_is_told(server: FleetMachine, tmp_path: Path) -> None:
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
