"""The canary test: false alarms are as rare as it says, and nothing that both versions share misleads it."""

import math
import random
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lykeion.core import odds_ratio_test
from lykeion.core.odds_ratio_test import FailureTable as Table
from lykeion.core.odds_ratio_test import log_likelihood, log_likelihood_ratio
from lykeion.platform.policies.rollouts import canary_test
from lykeion.platform.policies.rollouts.canary_test import DECISIVE
from lykeion.platform.resources.servings.canary import Evidence

RATIO, TOLERATED = 3.0, 0.005
Update = Callable[[Evidence, Table], Evidence]


def log_average(evidence: list[Evidence]) -> float:
    return odds_ratio_test.log_average([each.logs for each in evidence])


def harm(before: Evidence, table: Table) -> Evidence:
    return canary_test.harm(before, table, RATIO)


def no_harm(before: Evidence, table: Table) -> Evidence:
    return canary_test.no_harm(before, table, RATIO, TOLERATED)


@st.composite
def tables(draw: st.DrawFn) -> Table:
    canary, stable = draw(st.integers(0, 60)), draw(st.integers(0, 60))
    failures = draw(st.integers(0, canary + stable))
    own = draw(st.integers(max(0, failures - stable), min(failures, canary)))
    return Table(canary, own, stable, failures - own)


def _outcomes(table: Table) -> list[Table]:
    return [
        Table(table.treated, own, table.control, table.failures - own) for own in range(table.fewest, table.most + 1)
    ]


@given(tables(), st.floats(0.02, 50))
def test_likelihoods_are_those_of_fishers_noncentral_hypergeometric_distribution(table: Table, odds: float) -> None:
    outcomes = _outcomes(table)
    weights = [
        math.comb(each.treated, each.treated_failures)
        * math.comb(each.control, each.control_failures)
        * odds**each.treated_failures
        for each in outcomes
    ]
    for outcome, weight in zip(outcomes, weights, strict=True):
        assert math.exp(log_likelihood(outcome, odds)) == pytest.approx(weight / sum(weights), rel=1e-9)


def test_the_likelihoods_of_a_large_outage_are_still_a_distribution() -> None:
    likely = [log_likelihood(Table(300_000, own, 900_000, 15_000 - own), 1.0) for own in range(3_350, 4_150)]
    assert sum(map(math.exp, likely)) == pytest.approx(1, abs=1e-7)


def _expected(table: Table, odds: float, alternative: float, null: float) -> float:
    """The likelihood ratio that one interval is expected to have, where ``odds`` is the truth."""
    return sum(
        math.exp(log_likelihood(each, odds) + log_likelihood_ratio(each, alternative, null))
        for each in _outcomes(table)
    )


@given(tables(), st.floats(0.1, 1), st.floats(1.1, 100))
def test_without_harm_no_interval_is_expected_to_be_evidence_of_harm(
    table: Table, odds: float, alternative: float
) -> None:
    assert _expected(table, odds, alternative, 1.0) <= 1 + 1e-9


@given(tables(), st.floats(RATIO, 30))
def test_with_harm_no_interval_is_expected_to_be_evidence_of_none(table: Table, odds: float) -> None:
    assert _expected(table, odds, 1.0, RATIO) <= 1 + 1e-9


@given(st.integers(1, 60), st.floats(TOLERATED, 0.9))
def test_more_failures_than_are_tolerated_are_not_expected_to_be_evidence_of_no_harm(
    requests: int, share: float
) -> None:
    expected = sum(
        math.comb(requests, own)
        * share**own
        * (1 - share) ** (requests - own)
        * math.exp(log_average([no_harm(Evidence(), Table(requests, own, 0, 0))]))
        for own in range(requests + 1)
    )
    assert expected <= 0.5 + 1e-9  # the first interval has half of the prior weight


@given(tables())
def test_one_interval_decides_nothing(table: Table) -> None:
    for update in (harm, no_harm):
        once = update(Evidence(), table)
        assert log_average([update(once, table)]) < DECISIVE


@pytest.mark.parametrize("table", [Table(50, 0, 450, 0), Table(50, 50, 450, 450), Table(0, 0, 500, 9)])
def test_intervals_without_failures_or_with_nothing_else_tell_nothing_of_harm(table: Table) -> None:
    assert harm(Evidence(), table) == Evidence()


def test_where_nothing_fails_enough_requests_are_evidence_of_no_harm() -> None:
    evidence = Evidence()
    for _ in range(4):
        evidence = no_harm(evidence, Table(400, 0, 3600, 0))
    assert log_average([evidence]) >= DECISIVE


def test_an_outage_of_both_versions_is_no_evidence_of_no_harm() -> None:
    evidence = Evidence()
    for _ in range(100):
        evidence = no_harm(evidence, Table(50, 50, 450, 450))
    assert log_average([evidence]) < DECISIVE


def _draw(rng: random.Random, requests: int, share: float, rate: float, odds_of_canary: float) -> Table:
    canary = sum(rng.random() < share for _ in range(requests))
    worse = min(1.0, rate * odds_of_canary)
    return Table(
        canary,
        sum(rng.random() < worse for _ in range(canary)),
        requests - canary,
        sum(rng.random() < rate for _ in range(requests - canary)),
    )


def _followed(rng: random.Random, factor: float, share: float = 0.1, looks: int = 60) -> str:
    bad = good = Evidence()
    for _ in range(looks):
        table = _draw(rng, 500, share, 0.01, factor)
        bad, good = harm(bad, table), no_harm(good, table)
        if log_average([bad]) >= DECISIVE:
            return "harm"
        if log_average([good]) >= DECISIVE:
            return "no harm"
    return "nothing"


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "no harm"), (RATIO, "harm"), (40.0, "harm")])
def test_good_versions_and_harmful_ones_are_told_apart(factor: float, verdict: str) -> None:
    rng = random.Random(1)
    assert sum(_followed(rng, factor) == verdict for _ in range(40)) >= 36


def test_weights_that_move_with_the_rate_of_failure_do_not_look_like_harm() -> None:
    """Pooled, the canary fails 2.4 times as often, though both are alike at any time."""
    evidence = Evidence()
    for _ in range(30):
        evidence = harm(evidence, Table(10, 0, 990, 1))
    for _ in range(30):
        evidence = harm(evidence, Table(500, 5, 500, 5))
    assert log_average([evidence]) < 0


def test_a_version_that_fails_after_hours_of_health_is_found_within_minutes() -> None:
    evidence = Evidence()
    for _ in range(1000):
        evidence = harm(evidence, Table(250, 2, 250, 2))
    for _ in range(24):
        evidence = harm(evidence, Table(250, 6, 250, 2))
    assert log_average([evidence]) >= DECISIVE


def test_evidence_is_kept_as_json() -> None:
    evidence = harm(Evidence(), Table(10, 2, 90, 1))
    assert msgspec.json.decode(msgspec.json.encode(evidence), type=Evidence) == evidence
