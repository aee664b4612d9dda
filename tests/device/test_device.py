"""A device end to end: what a publisher signs is fetched, tried, run and confirmed; what is bad never is."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from lykeion.cli import app
from lykeion.core import DONE_BUT
from lykeion.device import (
    Device,
    DeviceConditions,
    DeviceSettings,
    SignedTarget,
    UpdateRules,
    check_device,
    read_root,
    set_up_device,
)
from lykeion.device.device_client import NoModel
from lykeion.device.fleet.device_messages import DesiredState
from lykeion.device.inference.class_speed import class_speed
from lykeion.device.slots.slot_state import CONFIRMING_RUNS, MAX_STARTS
from tests.delivery.fleet import Fleet
from tests.delivery.static_host import StaticHost

from .file_server import FileServer
from .fleet_server import FleetServer
from .networks import PHOTOS

DIGEST = "sha256:" + "0f" * 32
HEAVY = ("ai_edge_litert", "tuf", "securesystemslib", "cryptography", "urllib3", "PIL")
"""Loaded when they are used."""
ROOMS = ("cli", "search", "web_kit", "delivery", "platform", "registry", "oci", "nets", "inputs", "engines.choosing")


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fleet:
    monkeypatch.setenv("LYKEION_HOME", str(tmp_path / "home"))
    fleet = Fleet(tmp_path)
    fleet.init()
    return fleet


@pytest.fixture
def host(fleet: Fleet) -> Iterator[StaticHost]:
    with StaticHost(fleet.home / "public") as host:
        yield host


def set_up(home: Path, fleet: Fleet, host: StaticHost) -> Device:
    home.mkdir(exist_ok=True)
    DeviceSettings(host.url, models=("shoes",)).write(home)
    (home / "root.json").write_bytes((fleet.home / "public" / "metadata" / "1.root.json").read_bytes())
    return Device(home)


def publish(fleet: Fleet, seed: int) -> None:
    fleet.publish(seed)


@pytest.mark.slow
def test_what_is_published_runs_on_a_device_and_is_confirmed_by_its_app(
    fleet: Fleet, host: StaticHost, tmp_path: Path
) -> None:
    with set_up(tmp_path / "device", fleet, host) as device:
        with pytest.raises(NoModel, match="no model here yet"):
            device.classify(PHOTOS / "china.jpg")
        publish(fleet, 1)
        assert device.update().problems == {}
        first = device.classify(PHOTOS / "china.jpg", k=1)
        for _ in range(CONFIRMING_RUNS):
            assert device.classify(PHOTOS / "china.jpg", k=1) == first
        assert [event.name for event in device.reports.batch().events] == ["tried", "activated", "confirmed"]
        publish(fleet, 2)
        assert device.update().problems == {}
        assert device.model().target.version == 2
        states = device.models()["shoes"]
        assert states.running
        assert states.running.step == "active"
        assert states.last_good
        assert states.last_good.offer.target.version == 1


@pytest.mark.slow
def test_a_device_starts_offline_and_long_after_everything_has_expired(
    fleet: Fleet, host: StaticHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(fleet, 1)
    with set_up(tmp_path / "device", fleet, host) as device:
        assert device.update().problems == {}
        seen = device.classify(PHOTOS / "china.jpg")
    host.__exit__(None, None, None)
    with Device(tmp_path / "device") as again:
        assert again.classify(PHOTOS / "china.jpg") == seen
        assert "127.0.0.1" in again.update().problems[""]
        assert again.classify(PHOTOS / "china.jpg") == seen


@pytest.mark.slow
def test_what_cannot_be_fetched_now_keeps_the_old_one_and_comes_later(
    fleet: Fleet, host: StaticHost, tmp_path: Path
) -> None:
    publish(fleet, 1)
    metered = DeviceConditions(unmetered=False)
    with set_up(tmp_path / "device", fleet, host) as device:
        device.update()
        publish(fleet, 2)
        replace(device.settings, rules=UpdateRules(unmetered=True)).write(device.home)
    with Device(tmp_path / "device", conditions=lambda: metered) as device:
        assert "metered" in device.update().problems["shoes"]
        assert device.model().target.version == 1
        metered = DeviceConditions(unmetered=True)
        assert device.update().problems == {}
        assert device.model().target.version == 2


@pytest.mark.slow
def test_a_version_that_its_app_never_confirms_is_given_up_and_reported(
    fleet: Fleet, host: StaticHost, tmp_path: Path
) -> None:
    publish(fleet, 1)
    with set_up(tmp_path / "device", fleet, host) as device:
        device.update()
        for _ in range(CONFIRMING_RUNS):
            device.classify(PHOTOS / "china.jpg")
        publish(fleet, 2)
        device.update()
    versions = []
    for _ in range(MAX_STARTS + 1):  # of an app that ends before it has asked anything
        with Device(tmp_path / "device") as device:
            versions.append(device.model().target.version)
    assert versions == [2] * MAX_STARTS + [1]
    with Device(tmp_path / "device") as device:
        last = device.reports.batch().events[-1]
        assert (last.name, last.kind, last.fields["version"]) == ("given_up", "health", 2)
        assert device.update().problems == {}
        assert device.model().target.version == 1


@pytest.mark.slow
def test_a_process_that_ends_while_it_uses_a_model_is_reported_as_a_crash_of_that_version(
    fleet: Fleet, host: StaticHost, tmp_path: Path
) -> None:
    publish(fleet, 1)
    home = tmp_path / "device"
    with set_up(home, fleet, host) as device:
        device.update()
        for _ in range(CONFIRMING_RUNS):
            device.classify(PHOTOS / "china.jpg")
    program = f"""
import os, pathlib, sys
from lykeion.device import Device
device = Device(pathlib.Path({str(home)!r}))
device.model()
{{}}
"""

    def crashes() -> list[object]:
        with Device(home) as device:
            device.model()
            events = device.reports.batch().events
        return [event.fields["version"] for event in events if event.name == "crash"]

    for ending in ("sys.exit(1)", "raise ValueError", "device.close(); os._exit(0)"):
        subprocess.run([sys.executable, "-c", program.format(ending)], check=False, capture_output=True)
        assert crashes() == []
    subprocess.run([sys.executable, "-c", program.format("os.kill(os.getpid(), 11)")], check=False)
    assert crashes() == crashes() == [1]


@pytest.mark.slow
def test_a_server_says_which_version_runs_and_hears_what_came_of_it(
    fleet: Fleet, host: StaticHost, tmp_path: Path
) -> None:
    server = FleetServer(desired=DesiredState("any", {"shoes": "shoes/v1/any"}, {"dark": True}), now=time.time())
    publish(fleet, 1)
    publish(fleet, 2)
    with FileServer(posts=lambda path, body, token: server.answer(path, body, token)) as front:
        home = tmp_path / "device"
        settings = DeviceSettings(host.url, server=front.address, attributes={"memory_mb": 512})
        root = read_root(fleet.home / "public" / "metadata" / "1.root.json")
        assert set_up_device(home, settings, root, "once") == "device-1"
        with Device(home) as device:
            device.report("shown", {"version": 1}, "exposure")
            assert device.update().problems == {}
            assert device.model().target.version == 1
            assert device.flags == {"dark": True}
            assert [event.name for event in server.events] == ["shown", "tried", "activated"]
            assert server.events[1].fields["rough_ms"] > 0
            assert server.states[0].models == {}
            assert server.states[0].attributes["memory_mb"] == 512
            assert server.states[0].attributes["cores"] >= 1
            assert server.states[-1].models["shoes"].running == 1
            server.desired = DesiredState("any", {"shoes": "shoes/v9/any"})
            assert "no target" in device.update().problems["shoes"]
            assert device.model().target.version == 1
            server.credentials.clear()
            assert "401" in device.update().problems["server"]
    with Device(home) as device:
        assert device.model().target.version == 1
        assert "server" in device.update().problems


@pytest.mark.slow
def test_a_device_that_is_slower_than_its_class_says_so(
    fleet: Fleet, host: StaticHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is, by a limit that no run keeps."""
    monkeypatch.setattr("lykeion.device.inference.class_speed.SLOWER", 1e-9)
    server = FleetServer(desired=DesiredState("any", {"shoes": "shoes/v1/any"}), now=time.time())
    publish(fleet, 1)
    with FileServer(posts=lambda path, body, token: server.answer(path, body, token)) as front:
        home, root = tmp_path / "device", read_root(fleet.home / "public" / "metadata" / "1.root.json")
        set_up_device(home, DeviceSettings(host.url, server=front.address), root, "once")
        with Device(home) as device:
            assert device.update().problems == {}
        assert [event.name for event in server.events] == ["tried", "slow", "activated"]
        assert server.events[1].fields["value"] > 0
        assert server.events[1].fields["class_ms"] == 2.0
        found = {check.name: check for check in check_device(home)}
    assert found["speed of shoes"].problem
    assert "times what its class was measured at: other work, heat" in found["speed of shoes"].found
    assert not found["model shoes"].problem


def test_a_measurement_that_other_work_has_slowed_down_is_made_again() -> None:
    target = SignedTarget(
        "shoes", 1, DIGEST, "any", "litert", 1, "2", "3", DIGEST, 9, "none", latency_us=2_000
    )  # fmt: skip
    again = iter((7.0, 2.5))
    speed = class_speed(target, 30.0, lambda: next(again))
    assert (speed.run_ms, speed.slow) == (2.5, False)
    assert class_speed(target, 30.0, lambda: 9.0).slow
    assert not class_speed(replace(target, latency_us=0), 30.0, lambda: 9.0).slow


@pytest.mark.slow
def test_the_commands_set_a_device_up_run_it_and_find_what_is_wrong(
    fleet: Fleet, host: StaticHost, tmp_path: Path
) -> None:
    publish(fleet, 1)
    root, home, film = fleet.home / "public" / "metadata" / "1.root.json", tmp_path / "device", tmp_path / "film.png"
    frames = [Image.fromarray(np.full((16, 16, 3), 60 * value, np.uint8)) for value in range(4)]
    frames[0].save(film, save_all=True, append_images=frames[1:], duration=20)

    def lykeion(*words: object) -> Result:
        return CliRunner().invoke(app, ["device", *map(str, words), "--home", str(home)])

    assert "is not the home of a device" in str(lykeion("status").exception)
    assert "version of shoes" in lykeion("enroll", host.url, "--root", root, "--model", "shoes").output
    answers = [json.loads(line) for line in lykeion("run", "--video", film).stdout.splitlines()]
    assert answers[0]["frame"] == 0
    assert answers[-1]["frame"] == 3
    assert {label["label"] for label in answers[0]["labels"]} == {"a", "b", "c", "d"}
    state = json.loads(lykeion("status", "--json").stdout)["models"]["shoes"]
    assert state["running"]["runs"] == len(answers)
    checks = json.loads(lykeion("doctor", "--json").stdout)["checks"]
    assert not [check for check in checks if check["problem"]]
    assert "what its class was measured at" in next(c["found"] for c in checks if c["check"] == "speed of shoes")
    (home / "files" / state["running"]["target"]["file"].removeprefix("sha256:")).write_bytes(b"rotten")
    found = lykeion("doctor", "--json")
    assert found.exit_code == DONE_BUT
    wrong = [check["check"] for check in json.loads(found.stdout)["checks"] if check["problem"]]
    assert wrong == ["model shoes"]


def test_importing_the_device_and_loading_it_bring_no_server_module_and_little_else() -> None:
    program = f"""
import json, sys, time
import lykeion.device
lykeion.device.Device, lykeion.device.DeviceSettings
heavy = [name for name in {HEAVY!r} if name in sys.modules]
import lykeion.device.updates.device_rounds, lykeion.device.inference.model_trial, lykeion.engines.running
lykeion.engines.running.LiteRTEngine
rooms = [name for name in {ROOMS!r} if "lykeion." + name in sys.modules]
print(json.dumps([heavy, rooms, [name for name in ("tensorflow", "fastapi", "lark") if name in sys.modules]]))
"""
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert json.loads(said) == [[], [], []]
