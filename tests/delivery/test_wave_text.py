"""What people type for rollouts: waves, durations, rates."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lykeion.delivery.rollouts import (
    RolloutTextError,
    parse_hours,
    parse_rates,
    parse_seconds,
    parse_waves,
    seconds_text,
)


def test_waves_are_growing_percentages_that_are_watched_for_one_time() -> None:
    waves = parse_waves("0.5%, 10%,100%", 60)
    assert [(each.percent, each.soak_seconds) for each in waves] == [(0.5, 60), (10, 60), (100, 60)]


def test_a_wave_may_be_rings_or_devices() -> None:
    waves = parse_waves("ring:staff+beta, device:d-1,5%", 60, 2)
    assert [(each.rings, each.devices, each.percent) for each in waves] == [
        (("staff", "beta"), (), None),
        ((), ("d-1",), None),
        ((), (), 5),
    ]
    assert {(each.soak_seconds, each.approvals) for each in waves} == {(60, 2)}


@pytest.mark.parametrize(("text", "hours"), [("1-5", (1, 5)), ("22-6", (22, 6)), ("0-23", (0, 23))])
def test_hours_of_a_day_may_pass_midnight(text: str, hours: tuple[int, int]) -> None:
    found = parse_hours(text)
    assert (found.from_hour, found.until_hour) == hours


@pytest.mark.parametrize("text", ["", "1", "1-24", "5-5", "1:00-5:00", "-1-5"])
def test_other_hours_are_an_error(text: str) -> None:
    with pytest.raises(RolloutTextError, match="1-5 or 22-6"):
        parse_hours(text)


NO_WAVES = ["", "1", "1%,", "0%", "101%", "10%,10%", "50%,10%", "1%;2%", "nan%", "-1%", "1e1%", "ring:", "ring:a++b"]


@pytest.mark.parametrize("text", [*NO_WAVES, "group:a"])
def test_other_waves_are_an_error_that_says_how_to_write_them(text: str) -> None:
    with pytest.raises(RolloutTextError, match=r"1%,10%,50%,100%|have to grow"):
        parse_waves(text, 60)


@given(st.integers(1, 1000), st.sampled_from("smhdw"))
def test_durations_are_a_number_with_a_unit(number: int, unit: str) -> None:
    assert parse_seconds(f"{number}{unit}") == number * {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}[unit]


@pytest.mark.parametrize("text", ["", "5", "0d", "d", "-1d", "1.5d", "1 d", "1d2h"])
def test_other_durations_are_an_error(text: str) -> None:
    with pytest.raises(RolloutTextError, match="30m, 36h or 14d"):
        parse_seconds(text)


def test_rates_are_shares_or_factors_of_metrics() -> None:
    assert parse_rates(["crash=0.1%", "silence = 0.005", "load_failure=2"]) == pytest.approx(
        {"crash": 0.001, "silence": 0.005, "load_failure": 2.0}
    )
    with pytest.raises(RolloutTextError, match="crash=0"):
        parse_rates(["crash"])


@pytest.mark.parametrize(("seconds", "text"), [(90, "90 s"), (7200, "2 h"), (129_600, "36 h"), (1_209_600, "14 d")])
def test_durations_are_printed_in_their_unit(seconds: float, text: str) -> None:
    assert seconds_text(seconds) == text
