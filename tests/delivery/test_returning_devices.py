"""A fleet comes back to a gateway that was away: each device once, as it is admitted, without a second crowd."""

import random

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from lykeion.cli import app
from lykeion.delivery.simulation import GatewayAway, simulate_return
from lykeion.delivery.simulation.returning_devices import return_delays
from lykeion.device.conversation import reconnect_delay_s


@given(st.integers(0, 40), st.floats(0, 400), st.floats(0, 1))
def test_many_wait_as_one_does(failures: int, after_s: float, drawn: float) -> None:
    class Drawn(random.Random):
        def uniform(self, a: float, b: float) -> float:
            return a + (b - a) * drawn

    class ManyDrawn:
        def uniform(self, low: float, high: float, count: int) -> np.ndarray:
            return np.full(count, low + (high - low) * drawn)

    (wait_s,) = return_delays(np.asarray([failures]), np.asarray([after_s]), ManyDrawn())
    assert wait_s == pytest.approx(reconnect_delay_s(failures, after_s, Drawn()))


@pytest.mark.parametrize(("away_s", "told_within_s"), [(5.0, 0.0), (60.0, 0.0), (20.0, 30.0)])
def test_all_come_back_once_and_no_faster_than_they_are_admitted(away_s: float, told_within_s: float) -> None:
    found = simulate_return(GatewayAway(20_000, away_s, 200, told_within_s), seed=3)
    assert found.back.sum() == 20_000
    assert found.back[: int(away_s)].sum() == 0
    assert found.back.max() <= 400  # in a second, and what was free in the one before
    assert found.asked.sum() >= found.back.sum()
    assert found.all_back_s >= away_s + 20_000 / 200 - 2


def test_devices_that_all_come_at_once_are_a_second_crowd_and_those_that_wait_random_times_are_none() -> None:
    found = simulate_return(GatewayAway(50_000, 30.0, 500), seed=3)
    assert found.second_peak < 0.5


def test_the_same_seed_draws_the_same_and_is_printed() -> None:
    command = ["simulate", "--devices", "3000", "--away", "10s", "--connects", "100", "--seed", "4"]
    said = [CliRunner().invoke(app, command) for _ in range(2)]
    assert [each.exit_code for each in said] == [0, 0]
    assert said[0].output == said[1].output
    assert "all back s:" in said[0].output
