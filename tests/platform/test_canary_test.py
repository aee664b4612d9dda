"""The canary test: false alarms are as rare as it says, and nothing that both versions share misleads it."""

import math
import random
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lykeion.platform.policies.canary_test import DECISIVE, Evidence, Table, harm, log_likelihood, no_harm

RATIO = 3.0
Update = Callable[[Evidence, Table, float], Evidence]


@st.composite
def tables(draw: st.DrawFn) -> Table:
    canary, stable = draw(st.integers(0, 60)), draw(st.integers(0, 60))
    failures = draw(st.integers(0, canary + stable))
    own = draw(st.integers(max(0, failures - stable), min(failures, canary)))
    return Table(canary, own, stable, failures - own)


def _outcomes(table: Table) -> list[Table]:
    return [
        Table(table.canary, own, table.stable, table.failures - own) for own in range(table.fewest, table.most + 1)
    ]


@given(tables(), st.floats(0.02, 50))
def test_likelihoods_are_those_of_fishers_noncentral_hypergeometric_distribution(table: Table, odds: float) -> None:
    outcomes = _outcomes(table)
    weights = [
        math.comb(each.canary, each.canary_failures)
        * math.comb(each.stable, each.stable_failures)
        * odds**each.canary_failures
        for each in outcomes
    ]
    for outcome, weight in zip(outcomes, weights, strict=True):
        assert math.exp(log_likelihood(outcome, odds)) == pytest.approx(weight / sum(weights), rel=1e-9)


def test_the_likelihoods_of_a_large_outage_are_still_a_distribution() -> None:
    likely = [log_likelihood(Table(300_000, own, 900_000, 15_000 - own), 1.0) for own in range(3_350, 4_150)]
    assert sum(map(math.exp, likely)) == pytest.approx(1, abs=1e-7)


def _expected_gain(update: Update, table: Table, odds: float) -> float:
    """The evidence that is expected after one interval."""
    return sum(
        math.exp(log_likelihood(each, odds)) * math.exp(update(Evidence(), each, RATIO).log)
        for each in _outcomes(table)
    )


@given(tables(), st.floats(0.1, 1))
def test_without_harm_evidence_of_harm_is_not_expected_to_grow(table: Table, odds: float) -> None:
    assert _expected_gain(harm, table, odds) <= 0.5 + 1e-9  # the first interval has half of the prior weight


@given(tables(), st.floats(RATIO, 30))
def test_with_harm_evidence_of_none_is_not_expected_to_grow(table: Table, odds: float) -> None:
    assert _expected_gain(no_harm, table, odds) <= 0.5 + 1e-9


@given(tables())
def test_one_interval_decides_nothing(table: Table) -> None:
    for update in (harm, no_harm):
        once = update(Evidence(), table, RATIO)
        assert update(once, table, RATIO).log < DECISIVE


@pytest.mark.parametrize("table", [Table(50, 0, 450, 0), Table(50, 50, 450, 450), Table(0, 0, 500, 9)])
def test_intervals_without_failures_or_with_nothing_else_tell_nothing(table: Table) -> None:
    assert harm(Evidence(), table, RATIO) == Evidence()
    assert no_harm(Evidence(), table, RATIO) == Evidence()


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
        bad, good = harm(bad, table, RATIO), no_harm(good, table, RATIO)
        if bad.log >= DECISIVE:
            return "harm"
        if good.log >= DECISIVE:
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
        evidence = harm(evidence, Table(10, 0, 990, 1), RATIO)
    for _ in range(30):
        evidence = harm(evidence, Table(500, 5, 500, 5), RATIO)
    assert evidence.log < 0


def test_a_version_that_fails_after_hours_of_health_is_found_within_minutes() -> None:
    evidence = Evidence()
    for _ in range(1000):
        evidence = harm(evidence, Table(250, 2, 250, 2), RATIO)
    for _ in range(24):
        evidence = harm(evidence, Table(250, 6, 250, 2), RATIO)
    assert evidence.log >= DECISIVE


def test_evidence_is_kept_as_json() -> None:
    evidence = harm(Evidence(), Table(10, 2, 90, 1), RATIO)
    assert msgspec.json.decode(msgspec.json.encode(evidence), type=Evidence) == evidence
