"""A device end to end: what a publisher signs is fetched, tried, run and confirmed; what is bad never is."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lykeion.device import Device, DeviceConditions, DeviceSettings, UpdateRules
from lykeion.device.device_client import NoModel
from lykeion.device.slots.slot_state import CONFIRMING_RUNS
from tests.delivery.fleet import Fleet
from tests.delivery.static_host import StaticHost

from .networks import PHOTOS

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
        assert [event.name for event in device.reports.batch().events] == ["activated", "confirmed"]
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


def test_importing_the_device_and_loading_it_bring_no_server_module_and_little_else() -> None:
    program = f"""
import json, sys, time
import lykeion.device
lykeion.device.Device, lykeion.device.DeviceSettings
heavy = [name for name in {HEAVY!r} if name in sys.modules]
import lykeion.device.device_rounds, lykeion.device.inference.model_trial, lykeion.engines.running
lykeion.engines.running.LiteRTEngine
rooms = [name for name in {ROOMS!r} if "lykeion." + name in sys.modules]
print(json.dumps([heavy, rooms, [name for name in ("tensorflow", "fastapi", "lark") if name in sys.modules]]))
"""
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert json.loads(said) == [[], [], []]
