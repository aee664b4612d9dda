import itertools
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lykeion.core import SILENT
from lykeion.engines.choosing import REFERENCE, TimingError, TimingJournal, litert_candidate, measure, summarise
from lykeion.engines.choosing.timing import is_settled
from lykeion.engines.running import Pass, Plan, run_pass

PLAN = Plan(passes=3, most=6, tolerance=0.03, warm_up_s=0.001, sample_s=0.002, apart_s=0.5)
MS = 1_000_000


class Clock:
    """Nanoseconds that pass only when a candidate runs, or someone sleeps."""

    def __init__(self) -> None:
        self.now, self.slept = 0, 0.0

    def __call__(self) -> int:
        self.now += 10
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept += seconds
        self.now += int(seconds * 1e9)

    def candidate(self, *costs_ms: float) -> Callable[[], Callable[[], object]]:
        """Takes so long a run; each pass has the next of the costs, and the last for good."""
        passes = itertools.chain(costs_ms, itertools.repeat(costs_ms[-1]))

        def ready() -> Callable[[], object]:
            cost = int(next(passes) * MS)

            def run() -> None:
                self.now += cost

            return run

        return ready


def of(*minima: float) -> list[Pass]:
    return [Pass(minimum, minimum * 1.1, minimum * 1.2, minimum * 1.3, 10) for minimum in minima]


def test_a_candidate_that_two_passes_agree_on_is_settled() -> None:
    assert not is_settled(of(1.0, 1.0), PLAN)
    assert is_settled(of(1.0, 1.5, 1.02), PLAN)
    assert not is_settled(of(1.0, 1.5, 1.04), PLAN)
    assert is_settled(of(1.0, 1.5, 1.4, 1.3, 1.2, 1.1), PLAN)


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=20))
def test_a_summary_lies_within_its_passes(minima: list[float]) -> None:
    timing = summarise(of(*minima))
    assert timing.minimum_ms == min(minima)
    assert timing.minimum_ms <= timing.median_ms <= timing.p90_ms <= timing.p99_ms
    assert timing.spread >= 0
    assert timing.busy >= 0
    assert (timing.passes, timing.runs) == (len(minima), 10 * len(minima))


def test_the_time_of_a_run_is_measured_without_the_warm_up() -> None:
    clock = Clock()
    cold = iter([50 * MS, 20 * MS])

    def run() -> None:
        clock.now += next(cold, MS)

    turn = run_pass(run, PLAN, clock)
    assert (turn.minimum_ms, turn.p90_ms) == (pytest.approx(1, rel=1e-3), pytest.approx(1, rel=1e-3))


def test_short_runs_are_timed_many_at_a_time() -> None:
    clock = Clock()
    turn = run_pass(clock.candidate(0.0005)(), PLAN, clock)
    assert turn.minimum_ms == pytest.approx(0.0005, rel=0.01)


def test_a_busy_moment_is_measured_again_and_does_not_count() -> None:
    clock = Clock()
    candidates = {"steady": clock.candidate(1.0), "disturbed": clock.candidate(3.0, 2.5, 2.2, 2.0)}
    timings = measure(
        candidates, reference=clock.candidate(5.0), plan=PLAN, reporter=SILENT, clock=clock, sleep=clock.sleep
    )
    assert timings["steady"].minimum_ms == pytest.approx(1.0, rel=1e-3)
    assert timings["steady"].passes == 3
    assert timings["disturbed"].minimum_ms == pytest.approx(2.0, rel=1e-3)
    assert timings["disturbed"].passes == 5
    assert timings[REFERENCE].minimum_ms == pytest.approx(5.0, rel=1e-3)


def test_passes_of_a_few_short_candidates_lie_apart_in_time() -> None:
    clock = Clock()
    measure(
        {"a": clock.candidate(0.1)},
        reference=clock.candidate(0.1),
        plan=PLAN,
        reporter=SILENT,
        clock=clock,
        sleep=clock.sleep,
    )
    assert clock.slept > 2 * 0.4


def test_a_measurement_that_was_stopped_goes_on(tmp_path: Path) -> None:
    clock, turns = Clock(), itertools.count()

    def stopping() -> Callable[[], object]:
        if next(turns) == 2:
            raise KeyboardInterrupt
        return clock.candidate(2.0)()

    journal = TimingJournal(tmp_path / "passes.jsonl", {"threads": 1})
    candidates = {"a": clock.candidate(1.0), "b": stopping}
    arguments = {
        "reference": clock.candidate(5.0),
        "plan": PLAN,
        "reporter": SILENT,
        "clock": clock,
        "sleep": clock.sleep,
    }
    with pytest.raises(KeyboardInterrupt):
        measure(candidates, journal=journal, **arguments)
    before = len((tmp_path / "passes.jsonl").read_text().splitlines())
    timings = measure(candidates, journal=journal, **arguments)
    assert before > 4
    assert [timings[name].passes for name in ("a", "b")] == [3, 3]
    assert measure(candidates, journal=journal, **arguments) == timings


def test_a_line_that_a_crash_cut_short_is_dropped(tmp_path: Path) -> None:
    journal = TimingJournal(tmp_path / "passes.jsonl", {})
    assert journal.read() == []
    journal.append("a", Pass(1.0, 1.0, 1.0, 1.0, 3))
    with (tmp_path / "passes.jsonl").open("a") as file:
        file.write('{"candidate": "a", "minimum_m')
    assert journal.read() == [("a", Pass(1.0, 1.0, 1.0, 1.0, 3))]
    journal.append("b", Pass(2.0, 2.0, 2.0, 2.0, 3))
    assert [name for name, _ in journal.read()] == ["a", "b"]


def test_a_journal_of_another_measurement_is_refused(tmp_path: Path) -> None:
    TimingJournal(tmp_path / "passes.jsonl", {"threads": 1}).read()
    with pytest.raises(TimingError, match="threads 1, not 2; delete it"):
        TimingJournal(tmp_path / "passes.jsonl", {"threads": 2}).read()


@pytest.mark.parametrize(
    "text", ["[]\n", "{}\n", "nonsense\n", '{"setup": {}}\n{"candidate": "a"}\n', '{"setup": 3}\n']
)
def test_what_is_no_journal_is_an_error_of_one_line(text: str, tmp_path: Path) -> None:
    (tmp_path / "passes.jsonl").write_text(text)
    with pytest.raises(TimingError, match="not a journal") as caught:
        TimingJournal(tmp_path / "passes.jsonl", {}).read()
    assert "\n" not in str(caught.value)


def test_a_journal_says_what_it_was_begun_with(tmp_path: Path) -> None:
    TimingJournal(tmp_path / "passes.jsonl", {"threads": 1}).read()
    assert json.loads((tmp_path / "passes.jsonl").read_text()) == {"setup": {"threads": 1}}


def test_a_network_is_timed_through_litert(model: bytes) -> None:
    plan = Plan(passes=2, most=2, warm_up_s=0, sample_s=0.001, apart_s=0)
    timing = measure(
        {"tiny": litert_candidate(model)}, reference=litert_candidate(model), plan=plan, reporter=SILENT
    )["tiny"]
    assert 0 < timing.minimum_ms <= timing.p90_ms
