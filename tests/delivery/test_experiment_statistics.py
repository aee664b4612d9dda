"""Results of experiments hold at every look; what other programs define, we compute alike."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from benchmarks.measuring.aa_trials import (
    RARE,
    SCENARIOS,
    Judge,
    Scenario,
    found_at_any_look,
    mismatches_found,
    ours,
    plain_z,
    rare_found,
)
from lykeion.delivery.experiments.statistics import (
    ArmSums,
    arm_value,
    corrected,
    difference,
    half_width,
    is_different,
    log_evidence,
    log_evidence_path,
    p_value,
    planned_units,
    rate_ratio,
    running_sums,
    smallest_effect,
    winsorised,
)

RUNS = 200
GBSTATS = Path(__file__).parents[1] / "fixtures" / "gbstats.json"


def _too_many(found: int) -> bool:
    """More than 5 % of the runs, were it not for chance: with 95 % confidence, by Wilson's lower limit."""
    share, spread = found / RUNS, 1.645**2 / RUNS
    half = 1.645 * math.sqrt(share * (1 - share) / RUNS + spread / RUNS / 4)
    return (share + spread / 2 - half) / (1 + spread) > 0.05


@pytest.mark.slow
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda each: each.name)
def test_arms_that_are_alike_are_rarely_called_different_at_any_look(scenario: Scenario) -> None:
    assert not _too_many(found_at_any_look(scenario, RUNS, ours)[0])


@pytest.mark.slow
@pytest.mark.parametrize("judge", [plain_z], ids=["a z-test"])
def test_the_simulation_finds_out_a_test_that_is_made_for_one_look(judge: Judge) -> None:
    """This is what the test above says when our intervals are replaced."""
    balanced = [each for each in SCENARIOS if each.share == 0.5 and each.units == 5_000][:3]
    assert all(_too_many(found_at_any_look(each, RUNS, judge)[0]) for each in balanced)


@pytest.mark.parametrize(("name", "share", "events", "seed"), RARE)
def test_rates_of_a_rare_event_that_are_alike_are_rarely_called_different(
    name: str, share: float, events: int, seed: int
) -> None:
    assert not _too_many(rare_found(share, events, seed, RUNS))


@pytest.mark.slow
def test_assignments_as_declared_are_almost_never_called_wrong_and_wrong_ones_are() -> None:
    assert mismatches_found([0.95, 0.05], [0.95, 0.05], 5_000, 52, RUNS)[0] <= 0.01 * RUNS
    assert mismatches_found([0.5, 0.5], [0.56, 0.44], 5_000, 54, RUNS)[0] >= 0.95 * RUNS


@pytest.mark.parametrize("table", json.loads(GBSTATS.read_text()), ids=lambda each: each["kind"])
def test_estimates_intervals_and_p_values_are_those_of_gbstats(table: dict) -> None:
    covariate = table["kind"] == "Covariate"
    arms = [ArmSums(**each) for each in table["arms"]]
    found = difference("Mean" if covariate else table["kind"], *arms, covariate=covariate, relative=table["relative"])
    width = half_width(found, 0.05)
    numbers = [found.estimate, found.estimate - width, found.estimate + width, p_value(found, 0.05)]
    assert numbers == pytest.approx(table["gbstats"][:4], abs=1e-6)
    assert math.sqrt(found.variance) == pytest.approx(table["gbstats"][4], abs=1e-6)


def test_a_covariate_that_explains_the_metric_narrows_the_interval() -> None:
    rng = np.random.default_rng(1)
    habit, treated = rng.gamma(2.0, 2.0, 4_000), rng.random(4_000) < 0.5
    y, x = rng.poisson(habit).astype(float), habit
    arms = [running_sums(each, y, x=x).at(-1) for each in (~treated, treated)]
    plain, adjusted = (difference("Mean", *arms, covariate=each) for each in (False, True))
    assert adjusted.variance < 0.6 * plain.variance


def test_a_covariate_that_does_not_vary_changes_nothing() -> None:
    treated, y = np.array([True, False] * 50), np.arange(100.0)
    arms = [running_sums(each, y, x=np.ones(100)).at(-1) for each in (~treated, treated)]
    plain, adjusted = (difference("Mean", *arms, covariate=each) for each in (False, True))
    assert (adjusted.estimate, adjusted.variance) == (plain.estimate, plain.variance)


def test_nothing_is_called_different_before_both_arms_have_the_events() -> None:
    few, many = ArmSums(1_000, 19, 19, 19), ArmSums(1_000, 400, 400, 400)
    assert not is_different(difference("Proportion", few, many), 0.05, 20)
    assert is_different(difference("Proportion", ArmSums(1_000, 20, 20, 20), many), 0.05, 20)


def test_one_large_value_does_not_stand_for_many_events() -> None:
    values = np.array([1.0] * 50 + [10_000.0])
    assert running_sums(np.ones(51, bool), values).at(-1).events < 2
    assert running_sums(np.ones(51, bool), winsorised(values, 1.0)).at(-1).events == pytest.approx(51)
    assert list(winsorised(np.array([-1e15, 0.5, 3.0]), 1.0)) == [-1.0, 0.5, 1.0], "and none far below"


def test_arms_without_units_and_without_events_are_no_errors() -> None:
    nothing, silent = ArmSums(), ArmSums(n=100)
    for kind in ("Mean", "Proportion", "Ratio"):
        for pair in ((nothing, nothing), (nothing, silent), (silent, silent)):
            found = difference(kind, *pair)  # type: ignore[arg-type]
            assert not is_different(found, 0.05, 20)
            assert p_value(found, 0.05) == 1
    assert math.isnan(arm_value("Ratio", silent))


def test_evidence_of_counts_is_that_of_their_path_whatever_their_order() -> None:
    arms = np.random.default_rng(3).choice(3, 500, p=[0.5, 0.3, 0.2])
    shares = [0.4, 0.3, 0.3]
    counts = [int((arms == each).sum()) for each in range(3)]
    expected = log_evidence(counts, shares, 100.0)
    assert log_evidence_path(arms, shares, 100.0)[-1] == pytest.approx(expected)
    assert log_evidence_path(arms[::-1], shares, 100.0)[-1] == pytest.approx(expected)


@pytest.mark.parametrize("counts", [(0, 0), (0, 40), (12, 3), (30, 31), (100, 60)])
@pytest.mark.parametrize("share", [0.5, 0.05])
def test_the_interval_of_a_rate_ratio_leaves_1_out_when_the_exact_test_does(
    counts: tuple[int, int], share: float
) -> None:
    low, high = rate_ratio(*counts, share, 0.05)
    refuted = log_evidence(counts, [share, 1 - share], 20.0) > -math.log(0.05)
    assert (not low <= 1 <= high) == refuted
    assert low <= high


def test_corrections_are_the_textbook_s() -> None:
    assert corrected([0.01, 0.04, 0.03], "Holm") == pytest.approx([0.03, 0.06, 0.06])
    assert corrected([0.01, 0.04, 0.03], "BenjaminiHochberg") == pytest.approx([0.03, 0.04, 0.04])
    assert corrected([0.01, 0.04, 0.03], "None") == [0.01, 0.04, 0.03]
    assert corrected([], "Holm") == []


def test_a_plan_asks_for_more_units_where_every_look_counts_and_sees_just_its_effect() -> None:
    spreads, shares = (0.0475, 0.0564), (0.5, 0.5)
    fixed, always = planned_units(0.01, spreads, shares, 0.05, 0.8, 5_000.0)
    assert fixed == pytest.approx(16_310, rel=0.01)
    assert fixed < always < 3 * fixed
    assert smallest_effect(always, spreads, shares, 0.05, 0.8, 5_000.0) == pytest.approx(0.01, rel=1e-3)
