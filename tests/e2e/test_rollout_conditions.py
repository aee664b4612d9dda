"""Who moves when: rings and named devices, approvals by several people, hours, versions, deadlines; one at a time."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from .fleet_machine import Caller, FleetMachine, calling, fleet_machine
from .platform_machine import until

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FleetMachine]:
    with fleet_machine(tmp_path_factory.mktemp("f"), versions=3) as made:
        yield made


@dataclass
class Shop:
    """Devices of a test, for which its rollouts are."""

    machine: FleetMachine
    name: str
    callers: list[Caller]

    def start(self, rollout: str, version: str, *options: str, waves: str = "100%") -> None:
        timing = ("--soak", "1s", "--interval", "1s", "--where", f"shop = '{self.name}'")
        words = ("rollout", "start", f"shoes:{version}", "--name", rollout, "--waves", waves, *timing, *options)
        self.machine.run(*words)

    def calls_until(self, done: Callable[[], object], what: str) -> None:
        calling(self.callers, lambda: bool(done()), what)

    def running(self) -> list[int]:
        return [each.running for each in self.callers]

    def status(self, rollout: str) -> dict[str, Any]:
        return self.machine.rollout(rollout)

    def ends_with(self, rollout: str, reason: str) -> None:
        self.calls_until(lambda: self.status(rollout).get("reason") == reason, f"{rollout} is not {reason}")


@pytest.fixture
def shop(machine: FleetMachine, request: pytest.FixtureRequest) -> Iterator[Shop]:
    """Six devices that run v1; two of the ring ``staff``, and two where it is 3 o'clock."""
    name = request.node.name.removeprefix("test_")[:32]
    token = machine.run("delivery", "token", "--uses", "6").strip()
    callers = [Caller(machine.url) for _ in range(6)]
    for number, each in enumerate(callers):
        ring, hour = "staff" if number < 2 else "shop", 3 if number % 2 else 14
        each.enrol(token, shop=name, ring=ring, local_hour=hour)
    made = Shop(machine, name, callers)
    made.calls_until(lambda: made.running() == [1] * 6, "v1 is not everywhere")
    yield made
    for each in json.loads(machine.run("rollout", "get", "--json")):
        if each["status"].get("state") not in ("Complete", "Halted"):
            machine.run("rollout", "halt", each["metadata"]["name"])
            until(lambda name=each["metadata"]["name"]: machine.rollout(name)["state"] == "Halted")


def test_rings_and_named_devices_move_first_once_enough_people_have_approved(shop: Shop) -> None:
    named = shop.callers[3]
    shop.start("rings", "v2", "--approvals", "2", waves=f"ring:staff,device:{named.device},100%")

    def approved(wave: int, moved: list[int]) -> None:
        shop.machine.run("rollout", "approve", "rings", "--by", "ann")
        again = shop.machine.run("rollout", "approve", "rings", "--by", "ann", code=2)
        assert f"ann has approved wave {wave} already; another person has to" in again
        shop.calls_until(lambda: shop.status("rings")["reason"] == "NotApproved", "it waits for approval")
        assert shop.status("rings").get("wave", 0) == wave - 1  # one person twice is one person
        assert f"one person has to approve wave {wave}" in shop.status("rings")["message"]
        shop.machine.run("rollout", "approve", "rings", "--by", "bob")
        shop.calls_until(lambda: shop.running() == moved, f"wave {wave}")

    approved(1, [2, 2, 1, 1, 1, 1])
    shop.calls_until(lambda: shop.status("rings")["reason"] == "NotApproved", "wave 1 is over")
    approved(2, [2, 2, 1, 2, 1, 1])
    shop.calls_until(lambda: shop.status("rings")["reason"] == "NotApproved", "wave 2 is over")
    approved(3, [2] * 6)
    shop.ends_with("rings", "Complete")
    assert "devices run shoes v2 by it" in shop.machine.run("rollout", "delete", "rings", code=2)
    shop.machine.run("rollout", "delete", "rings", "--force")
    shop.calls_until(lambda: shop.running() == [1] * 6, "without it they run what is oldest")


def test_devices_move_in_hours_of_their_own_day(shop: Shop) -> None:
    shop.start("night", "v2", "--hours", "22-5")
    shop.calls_until(lambda: shop.running() == [1, 2, 1, 2, 1, 2], "those at night have moved")
    for each in shop.callers:
        each.attributes["local_hour"] = 23
    shop.calls_until(lambda: shop.running() == [2] * 6, "the others have moved at night")
    for each in shop.callers:
        each.attributes["local_hour"] = 12
    shop.ends_with("night", "Complete")
    assert shop.running() == [2] * 6  # who has moved stays by day
    shop.machine.run("rollout", "rollback", "night")
    shop.calls_until(lambda: shop.running() == [1] * 6, "they have returned")


def test_only_devices_between_a_minimum_and_a_maximum_version_move(shop: Shop) -> None:
    shop.start("some", "v2", waves="ring:staff")
    shop.ends_with("some", "Complete")
    assert shop.running() == [2, 2, 1, 1, 1, 1]
    shop.start("older", "v3", "--maximum-version", "v1")
    shop.ends_with("older", "Complete")
    assert shop.running() == [2, 2, 3, 3, 3, 3]
    shop.machine.run("rollout", "rollback", "older")
    shop.calls_until(lambda: shop.running() == [2, 2, 1, 1, 1, 1], "they have returned")
    shop.start("newer", "v3", "--minimum-version", "v2")
    shop.ends_with("newer", "Complete")
    assert shop.running() == [3, 3, 1, 1, 1, 1]


def test_a_wave_that_does_not_move_in_time_pauses_and_goes_on_when_it_has_moved(shop: Shop) -> None:
    for each in shop.callers[:3]:
        each.stuck = True
    shop.start("slow", "v2", "--moved-share", "0.9", "--deadline", "2s")
    shop.ends_with("slow", "DeadlineExceeded")
    moved = "3 of 6 devices that report run the version after 2 s"
    shop.calls_until(lambda: shop.status("slow")["message"] == moved, "three have moved")
    assert shop.status("slow")["state"] == "Paused"
    behind = json.loads(
        shop.machine.run("delivery", "status", "--repository", str(shop.machine.home / "tuf"), "--json")
    )
    drift = {each["version"]: each for each in behind["devices"]}
    assert (drift[2]["behind"] >= 3, drift[2]["oldest_s"] > 0) == (True, True)
    for each in shop.callers:
        each.stuck = False
    shop.ends_with("slow", "Complete")


def test_a_model_has_one_rollout_at_a_time_and_the_next_begins_when_it_has_ended(shop: Shop) -> None:
    shop.start("first", "v2", "--soak", "1h")
    shop.start("second", "v3")
    shop.calls_until(lambda: shop.running() == [2] * 6, "the first moves")
    shop.calls_until(lambda: shop.status("second").get("reason") == "WaitsForRollout", "the second waits")
    assert shop.status("second")["message"] == "first is under way for the same model"
    assert "it is under way: halt it first" in shop.machine.run("rollout", "delete", "first", code=2)
    assert shop.running() == [2] * 6
    shop.machine.run("rollout", "delete", "second")
    shop.start("third", "v3")
    shop.machine.run("rollout", "halt", "first")
    shop.ends_with("third", "Complete")
    assert shop.running() == [3] * 6
    shop.machine.run("rollout", "delete", "first")  # the third has completed since
