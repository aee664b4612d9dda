"""Imagined fleets: harm is seen in the first wave, or refused beforehand where the fleet is too small to see it."""

import pytest
from msgspec import structs

from lykeion.delivery.rollouts import (
    FleetScenario,
    FleetTooSmall,
    RolloutSpec,
    Wave,
    check_power,
    parse_halt_rule,
    simulate,
)

DAY_S = 86_400
SPEC = RolloutSpec(
    model="shoes",
    version="champion",
    waves=(Wave(percent=5, soak_seconds=14 * DAY_S), Wave(percent=100, soak_seconds=7 * DAY_S)),
    halt_when=(parse_halt_rule("crash x2"), parse_halt_rule("silence x2")),
    interval_seconds=DAY_S,
)
FLEET = FleetScenario(300_000, {"crash": 0.001, "silence": 0.005})


def _halted(scenario: FleetScenario, runs: int = 60) -> float:
    return sum(each.state == "Halted" and each.wave == 1 for each in simulate(SPEC, scenario, runs, 1)) / runs


def test_a_harmless_version_reaches_all_devices() -> None:
    ended = simulate(SPEC, FLEET, 60, 1)
    assert sum(each.state == "Complete" for each in ended) >= 57
    assert max(each.moved for each in ended) > 150_000


@pytest.mark.parametrize(
    "scenario",
    [{"harm": {"crash": 2.0}}, {"bricked": 0.05}, {"harm": {"crash": 10.0}}],
    ids=["crashes twice as often", "bricks one in twenty", "crashes ten times as often"],
)
def test_a_harmful_version_is_halted_in_the_first_wave(scenario: dict[str, object]) -> None:
    harmful = FleetScenario(FLEET.devices, FLEET.rates, **scenario)  # type: ignore[arg-type]
    assert _halted(harmful) >= 0.95


@pytest.mark.slow
def test_a_fleet_that_is_too_small_is_refused_with_the_numbers_unless_it_is_only_watched() -> None:
    small, spec = FleetScenario(2_000, FLEET.rates), structs.replace(SPEC, halt_when=SPEC.halt_when[:1])
    with pytest.raises(FleetTooSmall, match=r"crash x2: seen in wave 1 with a probability of \d+%.*watchOnly"):
        check_power(spec, small, {})
    assert [each.caught < 0.95 for each in check_power(structs.replace(SPEC, watch_only=True), small, {})] == [
        True
    ] * 2


def test_a_large_fleet_is_not_refused() -> None:
    spec = structs.replace(SPEC, halt_when=(parse_halt_rule("crash x3"),))
    assert [each.caught >= 0.95 for each in check_power(spec, FLEET, {})] == [True]


def test_runs_with_the_same_seed_are_the_same() -> None:
    assert simulate(SPEC, FLEET, 5, 3) == simulate(SPEC, FLEET, 5, 3) != simulate(SPEC, FLEET, 5, 4)


def test_silence_is_seen_when_its_time_is_over_and_not_before() -> None:
    bricking = FleetScenario(FLEET.devices, {"silence": 0.005}, bricked=0.3)
    spec = structs.replace(SPEC, halt_when=(parse_halt_rule("silence x2"),), silence_seconds=5 * DAY_S)
    ended = simulate(spec, bricking, 20, 1)
    assert {each.state for each in ended} == {"Halted"}
    assert min(each.seconds for each in ended) >= 5 * DAY_S
