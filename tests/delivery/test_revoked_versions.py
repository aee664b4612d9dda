"""A version that is revoked after devices were moved to it: nobody is told to run it, and there is one before it."""

from pathlib import Path

import pytest

from lykeion.delivery import revoke
from lykeion.delivery.device_service import FleetRecord, PublishedCatalogue, desired_number
from lykeion.delivery.rollouts import ROLLOUT, FleetRolloutStatus, Rollout, RolloutSpec, Wave

from .fleet import Fleet


def device(**pins: int) -> FleetRecord:
    return FleetRecord("d", "active", 0.0, 0.0, "1", "2.1", {}, {}, pins)


def complete(number: int) -> Rollout:
    made = ROLLOUT.new(f"to-v{number}", RolloutSpec("shoes", f"v{number}", (Wave(percent=100),)))
    return made.with_status(FleetRolloutStatus(state="Complete", wave=1, number=number, version=f"v{number}"))


@pytest.mark.slow
def test_devices_are_told_the_version_before_one_that_is_revoked(fleet: Fleet, tmp_path: Path) -> None:
    fleet.init()
    for seed in (1, 2):
        fleet.publish(seed)
    catalogue, rollouts = PublishedCatalogue(fleet.home), [complete(1), complete(2)]

    def told(record: FleetRecord) -> tuple[int, str]:
        return desired_number("shoes", "any", catalogue.models()["shoes"], record, rollouts)

    assert [told(device()), told(device(shoes=1))] == [(2, "rollout to-v2"), (1, "pin")]
    revoke(fleet.home, "shoes", 2, clock=fleet.clock)
    assert catalogue.models()["shoes"].revoked == {2}
    assert [told(device()), told(device(shoes=2))] == [(1, "rollout to-v1")] * 2
    rollouts = [complete(2)]
    assert told(device()) == (1, "stable")
