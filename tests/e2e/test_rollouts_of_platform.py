"""Rollouts are resources: applied, shown and awaited as those of the platform, carried by the device server."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from .fleet_machine import Caller, FleetMachine, calling, fleet_machine
from .platform_machine import PlatformMachine, platform_machine

pytestmark = pytest.mark.slow


def rollout(name: str, version: str, **spec: Any) -> dict[str, Any]:
    waves = [{"percent": 100, "soakSeconds": 1}]
    whole = {"model": "shoes", "version": version, "waves": waves, "intervalSeconds": 1, **spec}
    head = {"apiVersion": "lykeion.github.io/v1alpha1", "kind": "Rollout"}
    return {**head, "metadata": {"name": name}, "spec": whole}


def devices_of(fleet: FleetMachine, count: int) -> list[Caller]:
    token = fleet.run("delivery", "token", "--uses", str(count)).strip()
    made = [Caller(fleet.url) for _ in range(count)]
    for each in made:
        each.enrol(token)
    return made


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[PlatformMachine]:
    with platform_machine(tmp_path / "home") as made:
        made.start()
        yield made


def test_a_rollout_is_applied_awaited_and_shown_on_this_machine(machine: PlatformMachine, tmp_path: Path) -> None:
    with fleet_machine(tmp_path, options=("--rollouts", "platform")) as fleet:
        callers = devices_of(fleet, 3)
        calling(callers, lambda: all(each.running == 1 for each in callers), "v1 is not everywhere")
        file = tmp_path / "rollout.yaml"
        file.write_text(yaml.safe_dump(rollout("next", "v2")))
        assert machine.run("apply", "-f", str(file)) == "rollout/next created\n"
        calling(callers, lambda: all(each.running == 2 for each in callers), "v2 is not everywhere")

        def complete() -> bool:
            shown = json.loads(machine.run("get", "rollout/next", "-o", "json"))
            return shown["status"].get("state") == "Complete"

        calling(callers, complete, "it is not complete")
        assert machine.run("wait", "rollout/next", "--timeout", "60") == "rollout/next condition=Complete met\n"
        assert "shoes" in machine.run("get", "rollouts")
        assert "wave 1 of 1" in machine.run("events", "rollout/next")
        assert "next" in fleet.run("rollout", "get")  # through the device server
        wrong = rollout("wrong", "v2", waves=[{"percent": 50}, {"percent": 10}])
        error = machine.run("apply", "-f", "-", code=2, text=yaml.safe_dump(wrong))
        assert "percentages of waves have to grow" in error
        fleet.run("rollout", "rollback", "next")
        calling(callers, lambda: all(each.running == 1 for each in callers), "devices have not returned")
        assert machine.run("delete", "rollout/next") == "rollout/next deleted\n"


def test_a_device_server_outlives_a_platform_that_has_its_rollouts(machine: PlatformMachine, tmp_path: Path) -> None:
    with fleet_machine(tmp_path, options=("--rollouts", "platform")) as fleet:
        (caller,) = devices_of(fleet, 1)
        calling([caller], lambda: caller.running == 1, "v1")
        machine.kill()
        caller.call()  # what is known goes on
        machine.start()
        machine.run("apply", "-f", "-", text=yaml.safe_dump(rollout("next", "v2")))
        calling([caller], lambda: caller.running == 2, "v2 after the platform came back")
