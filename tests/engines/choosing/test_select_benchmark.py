"""The benchmark of select in miniature: measurements are made up, what is computed from them is real."""

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from lykeion.engines.choosing import BenchReport, BenchResult
from lykeion.engines.running import Machine

pytest.importorskip("ai_edge_quantizer")


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[3] / "benchmarks"))
    import select_engine

    return select_engine


def measured(model: str, latency_ms: float, accuracy: float, size: int) -> BenchResult:
    return BenchResult(
        model, model, "litert", "2", 1, "float32", size, size, latency_ms, latency_ms, latency_ms, latency_ms, 0.0,
        50, size / 10, "modelled", 1.0, 1000 * size, accuracy,
    )  # fmt: skip


TRUTH = tuple(measured(f"m{n}", 1 + 0.02 * n, 0.8 + 0.01 * n, 10 + n) for n in range(8))


def test_a_choice_is_judged_by_what_was_measured_to_the_end(benchmark: ModuleType) -> None:
    def worse(goal: str, chosen: str) -> float:
        result: dict[str, Any] = {"chosen": f"{chosen} · litert · 1", "seconds": 1.0}
        return benchmark.judge(goal, result, TRUTH).worse

    assert worse("minimise latency_ms", "m0") == 0
    assert worse("minimise latency_ms", "m1") == pytest.approx(0.02)
    assert worse("top1 >= 0.83, minimise latency_ms", "m3") == 0
    assert worse("top1 >= 0.83, minimise latency_ms", "m1") == float("inf")
    assert worse("latency_ms <= 1.05, maximise top1", "m3") == 0  # a limit missed by 1 %, and better
    assert worse("latency_ms <= 1.01, maximise top1", "m5") == float("inf")
    assert worse("top1 >= 2, minimise latency_ms", "none") == 0


def test_every_goal_can_be_met_and_is_reported(benchmark: ModuleType) -> None:
    goals = benchmark.goals(TRUTH)
    assert len(goals) >= 5
    verdicts = [
        benchmark.judge(
            goal, {"chosen": benchmark.choose(TRUTH, benchmark.parse_goal(goal)).name, "seconds": 3.0}, TRUTH
        )
        for goal in goals
    ]
    assert all(verdict.worse == 0 for verdict in verdicts)
    report = BenchReport(Machine("a", 2, 0, "b"), TRUTH, (), 0.01)
    page = "\n".join(benchmark.report(verdicts, report, 10.0, 8))
    assert "held" in page
    assert "missed" in "\n".join(benchmark.report(verdicts, report, 5.0, 8))
