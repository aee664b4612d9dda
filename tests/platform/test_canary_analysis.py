"""From the proxy's counts to a verdict; and the benchmark of whole rollouts in miniature."""

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType

import pytest

from lykeion.platform.lookups import GroupCounts
from lykeion.platform.policies.rollouts.canary_analysis import begin_step, described, look, verdict
from lykeion.platform.resources.servings.canary import AnalysisStatus, CanaryAnalysis, RequestTotals

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
SPEC = CanaryAnalysis(slow_seconds=0.3)


def _counts(requests: int, failures: int = 0, slow: int = 0, in_flight: int = 0, since: str = "1") -> GroupCounts:
    ended = requests - in_flight
    return GroupCounts(since, requests, failures, in_flight, {0.1: 0, 0.5: ended - slow, 1.0: ended, math.inf: ended})


def _looked(*readings: tuple[GroupCounts, GroupCounts]) -> AnalysisStatus:
    status = begin_step(AnalysisStatus(), NOON)
    for number, (canary, stable) in enumerate(readings):
        status = look(status, SPEC, canary, stable, NOON + timedelta(seconds=10 * number))
    return status


def test_what_came_before_the_first_look_of_a_step_is_not_compared() -> None:
    assert _looked((_counts(100, 50), _counts(900, 0))).canary_seen == RequestTotals()


def test_requests_are_counted_when_they_have_ended_and_slow_ones_from_the_next_edge_on() -> None:
    status = _looked((_counts(100, 1, 2), _counts(900, 3)), (_counts(200, 4, 12, in_flight=30), _counts(1800, 5, 20)))
    assert status.canary_seen == RequestTotals(requests=70, failures=3, slow=10)
    assert status.stable_seen == RequestTotals(requests=900, failures=2, slow=20)
    assert described(status, SPEC) == (
        "3 of 70 requests failed, stable: 2 of 900; 10 took more than 0.3 s, stable: 20"
    )


@pytest.mark.parametrize(
    "restarted", [(_counts(10, 9), _counts(90)), (_counts(999, 9, since="2"), _counts(9999, since="2"))]
)
def test_counters_that_began_again_are_no_evidence(restarted: tuple[GroupCounts, GroupCounts]) -> None:
    status = _looked((_counts(100), _counts(900)), restarted)
    assert status.canary_seen == RequestTotals()
    assert status.canary.failures == 9


@pytest.mark.parametrize(("failures", "slow"), [(60, 0), (0, 60)], ids=["failing", "slow"])
def test_failures_and_slow_requests_are_both_harm(failures: int, slow: int) -> None:
    readings = [(_counts(100 * each, failures * each, slow * each), _counts(900 * each)) for each in range(6)]
    assert verdict(_looked(*readings)) == "Harm"


def test_a_version_is_harmless_if_neither_failures_nor_slow_requests_speak_against_it() -> None:
    readings = [(_counts(400 * each), _counts(3600 * each)) for each in range(6)]
    assert verdict(_looked(*readings)) == "NoHarm"
    slow = [(_counts(400 * each, slow=each), _counts(3600 * each, slow=9 * each)) for each in range(6)]
    assert verdict(_looked(*slow)) == "Unknown"


def test_whether_it_is_harmless_is_asked_in_each_step_and_harm_is_remembered() -> None:
    status = _looked(*[(_counts(400 * each, each), _counts(3600 * each, 9 * each)) for each in range(6)])
    begun = begin_step(status, NOON)
    assert begun.no_harm == ()
    assert begun.harm == status.harm


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    import canary

    return canary


def test_simulated_rollouts_end_as_the_benchmark_promises(benchmark: ModuleType) -> None:
    scenarios = (*benchmark.HARMLESS, *benchmark.HARMFUL)
    rows = {each: benchmark.judged(each, 3) for each in scenarios}
    wrong = [each.name for each, row in rows.items() if not row.holds(each)]
    assert not wrong
