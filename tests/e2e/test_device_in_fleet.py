"""The real device and the real server of a fleet: from a token to a rollout that the device's reports complete."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from lykeion.cli import app
from lykeion.device import Device
from tests.device.networks import PHOTOS

from .platform_machine import until
from .test_fleet_server import FleetMachine, server

__all__ = ["server"]

pytestmark = pytest.mark.slow


def test_a_device_enrols_runs_what_its_fleet_runs_and_follows_a_rollout(server: FleetMachine, tmp_path: Path) -> None:
    home = tmp_path / "device"
    root = tmp_path / "tuf" / "public" / "metadata" / "1.root.json"
    token = server.run("delivery", "token").strip()
    words = ["device", "enroll", server.url, token, "--root", str(root), "--home", str(home)]
    enrolled = CliRunner().invoke(app, [*words, "--attribute", "shop=north"])
    assert enrolled.output.startswith("enrolled as "), enrolled
    name = enrolled.output.split()[-1]
    with Device(home) as device:
        assert device.update().problems == {}
        assert device.model("shoes").target.version == 1
        labels = device.classify(PHOTOS / "china.jpg")
        server.run(
            *(
                "rollout",
                "start",
                "shoes:v2",
                "--name",
                "next",
                "--waves",
                "100%",
                "--soak",
                "1s",
                "--interval",
                "1s",
            ),
            *("--watch-only",),
        )

        def moved() -> bool:
            assert device.update().problems == {}
            return device.model("shoes").target.version == 2

        until(moved)
        for _ in range(20):
            assert device.classify(PHOTOS / "china.jpg") != labels
        device.report("shown", {"model": "shoes"}, "exposure")
        assert device.update().problems == {}
        assert not device.reports.batch().events
    shown = json.loads(server.run("delivery", "devices", "show", name, "--json"))
    assert shown["told"]["shoes"].startswith("v2 since ")
    assert shown["attributes"]["shop"] == "north"
    assert shown["attributes"]["cores"] >= 1
    assert json.dumps(shown["models"]).count('"running": 2') == 1
    server.run("delivery", "devices", "set", name, "revoke")
    with Device(home) as device:
        assert "401" in device.update().problems["server"]
        assert device.model("shoes").target.version == 2


def _enrolled(server: FleetMachine, home: Path, *options: str) -> str:
    token = server.run("delivery", "token").strip()
    root = server.home / "tuf" / "public" / "metadata" / "1.root.json"
    words = ["device", "enroll", server.url, token, "--root", str(root), "--home", str(home), *options]
    return CliRunner().invoke(app, words).output.split()[-1]


def test_a_device_has_the_flags_of_its_fleet_also_without_a_network(server: FleetMachine, tmp_path: Path) -> None:
    why = ("--because", "a test")
    for name in ("id", "shop"):
        server.run("flags", "attributes", "set", name, "string", *why)
    flag = tmp_path / "flag.yaml"
    rule = {"id": "north", "where": "shop = 'north'", "value": "large"}
    flag.write_text(json.dumps({"type": "string", "default": "small", "rules": [rule]}))
    server.run("flags", "set", "page", "--file", str(flag), *why)
    homes = {shop: tmp_path / shop for shop in ("north", "south")}
    for shop, home in homes.items():
        _enrolled(server, home, "--attribute", f"shop={shop}")
        with Device(home) as device:
            assert device.flags == {}
            assert device.update().problems == {}
    server.run("flags", "archive", "page", *why)
    for shop, value in (("north", "large"), ("south", "small")):
        with Device(homes[shop]) as device:
            assert device.flags == {"page": value}  # what was said last
            assert device.update().problems == {}
            assert device.flags == {}


def test_a_devices_log_comes_when_it_is_asked_for_and_without_what_is_of_a_person(
    server: FleetMachine, tmp_path: Path
) -> None:
    name = _enrolled(server, tmp_path / "device")
    with Device(tmp_path / "device") as device:
        assert device.update().problems == {}
        device.log("photo of ann@example.com at /home/ann/boots.jpg: [0.5, 0.25, 0.125, 1.0]")
        assert "has not answered yet" in server.run("delivery", "logs", name, code=3)
        assert device.update().problems == {}
    lines = server.run("delivery", "logs", name, "--last").splitlines()
    assert lines[0].endswith("shoes: v1 runs, active")
    assert lines[-1].endswith("photo of [mail] at [path]: [numbers]")
    assert "no device 'x'" in server.run("delivery", "logs", "x", code=2)


def test_a_revoked_device_enrols_again_as_another_with_another_key(server: FleetMachine, tmp_path: Path) -> None:
    first = _enrolled(server, tmp_path / "device")
    server.run("delivery", "devices", "set", first, "revoke")
    second = _enrolled(server, tmp_path / "device")
    assert second != first
    with Device(tmp_path / "device") as device:
        assert device.update().problems == {}
    states = {
        each["device"]: each["state"] for each in json.loads(server.run("delivery", "devices", "list", "--json"))
    }
    assert states == {first: "revoked", second: "active"}
