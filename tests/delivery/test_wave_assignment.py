"""Which device runs which version: waves by bucket, ring and name, and what takes precedence over a rollout."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from lykeion.delivery.rollouts import (
    ROLLOUT,
    FleetDevice,
    FleetRolloutStatus,
    Rollout,
    RolloutSpec,
    Wave,
    desired_version,
)
from lykeion.delivery.rollouts.rollout_resource import LocalTimeWindow
from lykeion.delivery.rollouts.wave_assignment import wave_of

WAVES = (Wave(devices=("lab-1",)), Wave(rings=("staff",)), Wave(percent=10), Wave(percent=100))
DEVICE = FleetDevice("d", "phone")


def _matches(where: str, attributes: Mapping[str, object]) -> bool:
    return attributes.get("country") == where


def _rollout(name: str = "one", wave: int = 4, state: Any = "Running", returns: bool = False, **spec: Any) -> Rollout:
    made = ROLLOUT.new(name, RolloutSpec(model="shoes", version="v8", waves=WAVES, **spec))
    number = {"one": 8, "two": 9}[name]
    status = FleetRolloutStatus(state=state, version=f"v{number}", number=number, wave=wave, returns=returns)
    return replace(made, metadata=structs.replace(made.metadata, uid=f"uid of {name}"), status=status)


def _why(device: FleetDevice, *rollouts: Rollout, **others: Any) -> str:
    return desired_version("shoes", device, rollouts, _matches, **others).why


def test_the_first_wave_that_has_a_device_is_its_wave() -> None:
    spec = _rollout().spec
    assert wave_of(spec, "s", FleetDevice("lab-1", "phone")) == 1
    assert wave_of(spec, "s", FleetDevice("x", "phone", {"ring": "staff"})) == 2
    waves = [wave_of(spec, "s", FleetDevice(str(number), "phone")) for number in range(5_000)]
    assert 400 < waves.count(3) < 600
    assert waves.count(3) + waves.count(4) == 5_000


@given(st.text(min_size=1), st.text(min_size=1))
def test_more_percent_moves_no_device_back(seed: str, device: str) -> None:
    def moved(percent: float) -> bool:
        spec = structs.replace(_rollout().spec, waves=(Wave(percent=percent),))
        return wave_of(spec, seed, FleetDevice(device, "phone")) is not None

    states = [moved(each) for each in (1, 5, 20, 50, 99.9, 100)]
    assert states == sorted(states)
    assert states[-1]


def test_devices_of_other_classes_and_attributes_are_left_alone() -> None:
    assert _why(DEVICE, _rollout(classes=("box",))) == "stable"
    assert _why(DEVICE, _rollout(where="DE")) == "stable"
    assert (
        _why(replace(DEVICE, attributes={"country": "DE"}), _rollout(where="DE", classes=("phone",))) == "rollout one"
    )


def test_a_halt_takes_precedence_over_a_pin_a_pin_over_an_experiment_and_that_over_a_rollout() -> None:
    moving, halted = _rollout(), _rollout("two", state="Halted", returns=True)
    assert _why(DEVICE, moving) == "rollout one"
    assert _why(DEVICE, moving, experiment=6) == "experiment"
    assert _why(DEVICE, moving, experiment=6, pinned=5) == "pin"
    assert _why(DEVICE, moving, halted, pinned=9, experiment=6) == "experiment"
    assert _why(DEVICE, halted) == "stable"


def test_a_later_completed_rollout_takes_the_place_of_one_before() -> None:
    assert _why(DEVICE, _rollout(state="Complete"), _rollout("two", state="Complete")) == "rollout two"
    assert _why(DEVICE, _rollout(state="Complete"), _rollout("two", state="Complete", returns=True)) == "rollout one"


def test_a_halted_device_returns_to_the_version_before_whatever_its_rollout_asked_for() -> None:
    bounded = _rollout(state="Complete", maximum_version=7, window=LocalTimeWindow(from_hour=22, until_hour=6))
    halted = _rollout("two", state="Halted", returns=True)
    assert _why(replace(DEVICE, running={"shoes": 9}, local_hour=12), bounded, halted) == "rollout one"


def test_what_was_revoked_is_not_run_whoever_asks_for_it() -> None:
    before, after = _rollout(state="Complete"), _rollout("two", state="Complete")
    assert _why(DEVICE, before, after, revoked={9}) == "rollout one"
    assert _why(DEVICE, before, pinned=9, revoked={9}) == "rollout one"
    assert _why(DEVICE, before, experiment=9, revoked={9}) == "rollout one"
    assert desired_version("shoes", DEVICE, [before], _matches, revoked={8}).halted == {8}


def test_what_was_halted_runs_again_only_by_a_later_rollout() -> None:
    halted, again = _rollout(state="Halted", returns=True), _rollout()
    assert desired_version("shoes", DEVICE, [halted], _matches).halted == {8}
    assert _why(DEVICE, halted, again) == "rollout one"
    assert _why(DEVICE, again, halted) == "stable"


def test_versions_and_the_hour_decide_who_moves_but_move_nobody_back() -> None:
    night = _rollout(window=LocalTimeWindow(from_hour=22, until_hour=6), minimum_version=7)
    old = replace(DEVICE, running={"shoes": 7})
    assert _why(replace(old, local_hour=23), night) == "rollout one"
    assert _why(replace(old, local_hour=12), night) == "stable"
    assert _why(replace(old, local_hour=23, running={"shoes": 6}), night) == "stable"
    has_it = replace(old, local_hour=12, running={"shoes": 8})
    assert _why(has_it, night) == "rollout one"


def test_when_devices_stay_only_those_that_moved_keep_the_version() -> None:
    halted = _rollout(state="Halted")
    assert _why(DEVICE, halted) == "stable"
    assert _why(replace(DEVICE, running={"shoes": 8}), halted) == "rollout one"
