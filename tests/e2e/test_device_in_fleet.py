"""The real device and the real server of a fleet: from a token to a rollout that the device's reports complete."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from lykeion.cli import app
from lykeion.device import Device
from tests.device.networks import PHOTOS

from .platform_machine import until
from .test_fleet_server import Server, server

__all__ = ["server"]

pytestmark = pytest.mark.slow


def test_a_device_enrols_runs_what_its_fleet_runs_and_follows_a_rollout(server: Server, tmp_path: Path) -> None:
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
    assert shown["attributes"]["shop"] == "north"
    assert shown["attributes"]["cores"] >= 1
    assert json.dumps(shown["models"]).count('"running": 2') == 1
    server.run("delivery", "devices", "set", name, "revoke")
    with Device(home) as device:
        assert "401" in device.update().problems["server"]
        assert device.model("shoes").target.version == 2
