"""Rollouts are resources: applied, shown and awaited as those of the platform, carried by the device server."""

import json
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from lykeion.delivery.device_service import DeviceAdmission, open_fleet
from tests.delivery.conversing import GatewayProcess
from tests.delivery.fleet import Fleet
from tests.delivery.postgres import postgres

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
        assert "next" in machine.run("get", "all")
        fleet.run("rollout", "describe", "next", "-n", "default")
        elsewhere = (
            "the rollouts and experiments of this fleet are in the namespace default, not in shop; add -n default"
        )
        assert elsewhere in fleet.run("rollout", "get", "-n", "shop", code=2)
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


def test_two_fleets_have_their_rollouts_in_namespaces_of_their_own(machine: PlatformMachine, tmp_path: Path) -> None:
    options = ("--rollouts", "platform", "--rollouts-namespace")
    with fleet_machine(tmp_path, options=(*options, "shop")) as one:
        (caller,) = devices_of(one, 1)
        second = ("delivery", "serve", "--repository", str(tmp_path / "tuf"), "--port", "0")
        other = ("--fleet", str(tmp_path / "other"), *options)
        refused = one.run(*second, *other, "shop", code=2)
        assert "the rollouts of this namespace are those of another fleet" in refused
        assert len(refused.splitlines()) == 1
        for namespace in ("store", "shop"):
            document = rollout("next", "v2")
            document["metadata"]["namespace"] = namespace
            machine.run("apply", "-f", "-", text=yaml.safe_dump(document))
        calling([caller], lambda: caller.running == 2, "v2 by the rollout of its namespace")
        shown = json.loads(machine.run("get", "rollouts", "-n", "store", "-o", "json"))["items"]
        assert [each["metadata"]["name"] for each in shown] == ["next"]
        assert not shown[0]["status"].get("wave")  # nobody carries it
        assert "next" in one.run("rollout", "get", "-n", "shop")


def test_gateways_with_one_store_tell_a_device_the_same_and_look_at_a_rollout_once(
    machine: PlatformMachine, tmp_path: Path
) -> None:
    with postgres() as base, pytest.MonkeyPatch.context() as patch:
        patch.setenv("LYKEION_HOME", str(tmp_path / "home"))
        fleet, state = Fleet(tmp_path), base.base("gateways")
        fleet.init()
        for seed in (1, 2):
            fleet.publish(seed, keep=2)
        options = ("--state", state, "--rollouts", "platform")
        gateways = [GatewayProcess(fleet.home, tmp_path / f"fleet{number}", options) for number in range(2)]
        try:
            for each in gateways:
                each.start()
            with closing(open_fleet(Path(), state)) as store:
                token = DeviceAdmission(store, time.time).new_token(600)
            caller = Caller(gateways[0].url)
            caller.enrol(token)
            elsewhere = replace(caller, url=gateways[1].url)
            machine.run("apply", "-f", "-", text=yaml.safe_dump(rollout("next", "v2")))
            calling([caller, elsewhere], lambda: caller.running == elsewhere.running == 2, "v2 by both gateways")

            def complete() -> bool:
                shown = json.loads(machine.run("get", "rollout/next", "-o", "json"))
                return shown["status"].get("state") == "Complete"

            calling([caller, elsewhere], complete, "it is not complete")
            shown = json.loads(machine.run("get", "rollout/next", "-o", "json"))
            reasons = [each["reason"] for each in shown["status"]["steps"]]
            assert len(reasons) == len(set(reasons))
        finally:
            assert [each.stop() for each in gateways] == [0, 0]
