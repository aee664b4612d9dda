from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as tfl
from hypothesis import given
from hypothesis import strategies as st

from lykeion.core import SILENT
from lykeion.engines.choosing import (
    BenchReport,
    BenchResult,
    Case,
    FleetError,
    GoalError,
    Labelled,
    ModelFile,
    ReportError,
    agreement,
    bench,
    cases,
    choose,
    cover,
    draw_choice,
    exact,
    front,
    parse_goal,
    read_report,
    select,
    top1,
    write_report,
)
from lykeion.engines.choosing.benchmark import time_cases
from lykeion.engines.choosing.candidates import LoadedEngines
from lykeion.engines.choosing.fleet import smallest_cover
from lykeion.engines.choosing.goal import Known
from lykeion.engines.choosing.selection import cuts
from lykeion.engines.running import KINDS, Machine, ModelError, Plan, try_model
from lykeion.nets import Architecture, Convolution, random_weights, write_litert
from tests.litert.files import one_operator

QUICK = Plan(passes=2, most=2, warm_up_s=0, sample_s=0.001, apart_s=0)
SMALL = parse_goal("latency_ms <= 5 and top1 >= 0.9, minimise size_bytes")


def network(width: int) -> ModelFile:
    architecture = Architecture(f"w{width}", 8, 8, (Convolution(width, 3, 2),), classes=3)
    return ModelFile(f"w{width}", write_litert(architecture, random_weights(architecture), output="logits"))


def measured(name: str, latency_ms: float, accuracy: float, size: int, digest: str = "") -> BenchResult:
    return BenchResult(
        name, digest or name, "litert", "2", 1, "float32", size, 10, latency_ms, latency_ms, latency_ms, latency_ms,
        0.0, 50, 1.0, "modelled", top1=accuracy,
    )  # fmt: skip


def test_the_choice_meets_the_goal_and_nothing_that_meets_it_is_better() -> None:
    results = [
        measured("slow", 6, 0.99, 1),
        measured("wrong", 1, 0.5, 1),
        measured("good", 4, 0.92, 10),
        measured("as small but slower", 4.5, 0.99, 10),
        measured("large", 1, 0.99, 30),
    ]
    chosen = choose(results, SMALL)
    assert chosen is not None
    assert chosen.model == "good"
    assert choose(results[:2], SMALL) is None


def test_what_misses_or_is_beaten_for_certain_is_cut_and_what_may_still_win_is_not() -> None:
    known: dict[str, Known] = {
        "good": {"latency_ms": (3.0, 4.0), "top1": exact(0.92), "size_bytes": exact(10)},
        "slow": {"latency_ms": (5.5, 9.0), "size_bytes": exact(1)},
        "large": {"latency_ms": (0.1, 9.0), "size_bytes": exact(11)},
        "perhaps": {"latency_ms": (4.5, 9.0), "size_bytes": exact(9)},
        "as large, slower": {"latency_ms": (4.1, 4.2), "top1": exact(0.99), "size_bytes": exact(10)},
        "as large, perhaps faster": {"latency_ms": (3.9, 4.2), "top1": exact(0.99), "size_bytes": exact(10)},
    }
    found = cuts(known, SMALL)
    assert found.keys() == {"slow", "large", "as large, slower"}
    assert found["slow"] == "latency_ms is 5.5 to 9"
    assert found["large"] == "good has size_bytes 10"


@given(st.data())
def test_cutting_early_never_cuts_what_would_have_been_chosen(data: st.DataObject) -> None:
    small = st.integers(1, 6)
    truth = [
        measured(f"m{number}", data.draw(small), data.draw(st.sampled_from([0.8, 0.95])), data.draw(small))
        for number in range(data.draw(st.integers(1, 6)))
    ]
    known: dict[str, Known] = {
        each.name: {
            "latency_ms": (each.latency_ms - data.draw(small), each.latency_ms + data.draw(small)),
            "size_bytes": exact(each.size_bytes),
            **({"top1": exact(each.top1 or 0)} if data.draw(st.booleans()) else {}),
        }
        for each in truth
    }
    chosen, cut = choose(truth, SMALL), cuts(known, SMALL)
    left = choose([each for each in truth if each.name not in cut], SMALL)
    if chosen is None:
        assert left is None
    else:
        assert left is not None
        assert (left.size_bytes, left.latency_ms) == (chosen.size_bytes, chosen.latency_ms)


@pytest.mark.slow
def test_a_model_is_selected_by_measuring(tmp_path: Path) -> None:
    models = [network(64), network(8), ModelFile("broken", network(8).content[:500])]
    rng = np.random.default_rng(0)
    data = Labelled(rng.integers(0, 256, (40, 8, 8, 3), dtype=np.uint8), rng.integers(0, 3, 40))
    goal = parse_goal("latency_ms < 10000 and top1 >= 0, minimise size_bytes")
    found = select(
        cases(models, [KINDS["litert"]], [1]), goal, data=data, rounds=[(QUICK, 1.0), (QUICK, 0.0)], reporter=SILENT
    )
    assert found.chosen is not None
    assert found.chosen.model == "w8"
    outcomes = {each.name: each.outcome for each in found.standings}
    assert outcomes == {"w64 · litert · 1": "cut", "w8 · litert · 1": "chosen", "broken · litert · 1": "refused"}
    assert all("\n" not in each.reason for each in found.standings)
    assert "1 could not win any more" in found.reasons[-1]
    draw_choice(found.results, found.chosen, goal.text, tmp_path / "choice.png")
    assert (tmp_path / "choice.png").read_bytes()[:4] == b"\x89PNG"


def test_accuracy_is_told_where_the_goal_does_not_ask_for_it() -> None:
    data = Labelled(np.zeros((4, 8, 8, 3), np.uint8), np.zeros(4, int))
    goal = parse_goal("minimise size_bytes")
    found = select(
        cases([network(8)], [KINDS["litert"]], [1]), goal, data=data, rounds=[(QUICK, 0.0)], reporter=SILENT
    )
    assert found.results[0].top1 in (0, 1)


def test_what_was_not_measured_is_not_chosen() -> None:
    known, unknown = measured("a", 1, 0.5, 1), replace(measured("b", 1, 0.5, 1), top1=None)
    assert choose([unknown, known], parse_goal("maximise top1")) == known
    assert choose([unknown], parse_goal("maximise top1")) is None


@pytest.mark.slow
def test_a_first_run_is_in_a_new_process_where_the_goal_asks_for_it() -> None:
    candidates = cases([network(64), network(8)], [KINDS["litert"]], [1])
    found = select(candidates, parse_goal("minimise memory_bytes"), rounds=[(QUICK, 0.0)], reporter=SILENT)
    assert found.chosen is not None
    assert found.chosen.memory_bytes
    warm = select(candidates, parse_goal("minimise size_bytes"), rounds=[(QUICK, 0.0)], reporter=SILENT)
    assert warm.chosen is not None
    assert warm.chosen.memory_bytes is None


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (Labelled(np.zeros((10, 8, 8, 3), np.uint8), np.arange(10)), "gives 3 numbers where labels go up to 9"),
        (Labelled(np.zeros((2, 8, 8, 3), np.uint8), np.arange(2), classes=2), "gives 3 numbers for 2 classes"),
        (Labelled(np.zeros((2, 9, 9, 3), np.uint8), np.arange(2)), "is for photos of 8×8×3, not 9×9×3"),
    ],
)
def test_a_file_that_photos_do_not_fit_is_refused_and_the_rest_measured(data: Labelled, reason: str) -> None:
    found = bench(cases([network(8)], [KINDS["litert"]], [1]), plan=QUICK, data=data, reporter=SILENT)
    assert found.results == ()
    assert reason in found.refused[0].reason


def test_timings_go_on_with_fewer_candidates(tmp_path: Path) -> None:
    """Which are left after first runs is not the same each time."""
    both = cases([network(8), network(64)], [KINDS["litert"]], [1])
    with LoadedEngines() as loaded:
        first = time_cases(both, both[0], loaded, QUICK, tmp_path / "journal", reporter=SILENT)
        again = time_cases(both[1:], both[0], loaded, QUICK, tmp_path / "journal", reporter=SILENT)
    assert again[both[1].name] == first[both[1].name]


def test_nothing_may_meet_the_goal() -> None:
    goal = parse_goal("size_bytes < 10, minimise latency_ms")
    found = select(cases([network(8)], [KINDS["litert"]], [1]), goal, rounds=[(QUICK, 0.0)], reporter=SILENT)
    assert found.chosen is None
    assert found.standings[0].outcome == "misses"
    assert "nothing meets the goal" in found.reasons[0]


def test_accuracy_needs_photos() -> None:
    with pytest.raises(GoalError, match="top1 needs labelled photos"):
        select(cases([network(8)], [KINDS["litert"]], [1]), SMALL)


def test_accuracy_is_that_of_the_outputs_themselves() -> None:
    model = network(8)
    engine = Case(model, KINDS["litert"], 1).load()
    photos = np.random.default_rng(1).integers(0, 256, (70, 8, 8, 3), dtype=np.uint8)
    logits = np.concatenate(
        [engine.run((photos[[place]].astype(np.float32) - 127.5) / 127.5)["logits"] for place in range(70)]
    )
    labels = logits.argmax(axis=1)
    assert top1(engine, Labelled(photos, labels)) == 1
    labels[:7] = (labels[:7] + 1) % 3
    assert top1(engine, Labelled(photos, labels)) == pytest.approx(0.9)
    with pytest.raises(ModelError, match="gives 3 numbers where labels go up to 9"):
        top1(engine, Labelled(photos, np.full(70, 9)))


def fixed_network() -> ModelFile:
    """Whose shape inside is for one photo, as older converters write it."""
    reshape = tfl.ReshapeOptionsT()
    reshape.newShape = [1, 12]
    content = one_operator(tfl.BuiltinOperator.RESHAPE, reshape, (1, 2, 2, 3), (1, 12), [np.array([1, 12], np.int32)])
    return ModelFile("fixed", content)


def test_a_network_for_one_photo_is_judged_one_by_one() -> None:
    photos = np.random.default_rng(1).integers(0, 256, (40, 2, 2, 3), dtype=np.uint8)
    labels = photos.reshape(40, 12).argmax(axis=1)
    engine = Case(fixed_network(), KINDS["litert"], 1).load()
    assert top1(engine, Labelled(photos, labels)) == 1


@pytest.mark.slow
def test_what_cannot_be_judged_does_not_end_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def judge(engine: object, data: Labelled, name: str, _: int) -> float:
        if name == "w8":
            raise ModelError("w8: cannot run on 32 photos")
        return 0.5

    monkeypatch.setattr("lykeion.engines.choosing.benchmark.top1", judge)
    monkeypatch.setattr("lykeion.engines.choosing.selection.top1", judge)
    data = Labelled(np.zeros((4, 8, 8, 3), np.uint8), np.zeros(4, np.int64))
    wanted = cases([network(8), network(16)], [KINDS["litert"]], [1])
    report = bench(wanted, plan=QUICK, data=data, reporter=SILENT)
    assert [each.model for each in report.results] == ["w16"]
    assert [each.reason for each in report.refused] == ["w8: cannot run on 32 photos"]
    goal = parse_goal("top1 >= 0, minimise size_bytes")
    found = select(wanted, goal, data=data, rounds=[(QUICK, 0.0)], reporter=SILENT)
    assert {each.name: each.outcome for each in found.standings} == {
        "w8 · litert · 1": "refused",
        "w16 · litert · 1": "chosen",
    }


def test_engines_agree_only_on_numbers() -> None:
    with pytest.raises(ModelError, match="it gives numbers that are not finite"):
        agreement(np.full((2, 3), np.nan), np.ones((2, 3)))


def test_a_trial_runs_nothing_of_the_current_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "statistics.py").write_text("raise SystemExit('what lay here was run')")
    monkeypatch.chdir(tmp_path)
    assert try_model(network(8).content, "w8").run_ms > 0


@pytest.mark.slow
def test_a_bench_measures_what_runs_and_tells_why_the_rest_does_not(tmp_path: Path) -> None:
    models = [network(8), ModelFile("broken", b"PK")]
    found = bench(
        cases(models, [KINDS["litert"]], [1, 2]), plan=QUICK, journal=tmp_path / "passes.jsonl", reporter=SILENT
    )
    assert [each.name for each in found.results] == ["w8 · litert · 1", "w8 · litert · 2"]
    first = found.results[0]
    assert 0 < first.latency_ms <= first.p50_ms <= first.p90_ms <= first.p99_ms
    assert first.size_bytes == len(models[0].content)
    assert (first.precision, first.multiply_adds) == ("float32", 4 * 4 * 27 * 8 + 8 * 3)
    assert first.cold_start_ms
    assert first.preprocess_ms
    assert [(each.model, each.threads) for each in found.refused] == [("broken", 1), ("broken", 2)]
    assert "not a LiteRT model" in found.refused[0].reason
    write_report(found, tmp_path / "here.json")
    assert read_report(tmp_path / "here.json") == found


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        "[" * 100_000,
        '{"schema": "other", "version": 1}',
        '{"schema": "lykeion.bench", "version": 9}',
    ],
)
def test_what_is_no_report_is_an_error_that_names_the_file(text: str, tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text(text)
    with pytest.raises(ReportError, match=r"bad\.json: ") as caught:
        read_report(tmp_path / "bad.json")
    assert "\n" not in str(caught.value)


def test_a_report_with_a_wrong_figure_is_an_error_that_names_it(tmp_path: Path) -> None:
    report = BenchReport(Machine("a", 2, 3, "b"), (measured("m", -1, 0.9, 3),), (), 0.0)
    write_report(report, tmp_path / "bad.json")
    with pytest.raises(ReportError, match=r"bad\.json: .*'latency_ms' is '-1'"):
        read_report(tmp_path / "bad.json")


def test_a_fleet_is_served_by_the_fewest_models_and_each_device_by_its_best() -> None:
    def report(*results: BenchResult) -> BenchReport:
        return BenchReport(Machine("device", 1, 0, ""), results, (), 0.0)

    small, middle, large = (("s", 1), ("m", 2), ("l", 3))
    reports = {
        "phone": report(measured("s", 9, 0.95, small[1]), measured("m", 4, 0.95, middle[1])),
        "tablet": report(
            measured("s", 3, 0.95, small[1]), measured("m", 2, 0.95, middle[1]), measured("l", 1, 0.95, large[1])
        ),
        "watch": report(measured("s", 90, 0.95, small[1])),
    }
    found = cover(reports, SMALL)
    assert found.artifacts == ("m",)
    assert {device: result.model for device, result in found.served.items()} == {"phone": "m", "tablet": "m"}
    assert found.unserved == ("watch",)
    assert found.coverage == pytest.approx(2 / 3)
    assert found.exact
    with pytest.raises(FleetError, match="watch: memory_bytes was not measured"):
        cover({"watch": reports["watch"]}, parse_goal("minimise memory_bytes"))
    with pytest.raises(FleetError):
        cover({}, SMALL)


costs = st.dictionaries(st.sampled_from("abcde"), st.integers(0, 5).map(float), min_size=1)


@given(st.dictionaries(st.integers(0, 6), costs, min_size=1))
def test_no_smaller_set_covers_and_no_equal_one_is_cheaper(offered: dict[int, dict[str, float]]) -> None:
    by_device = {str(device): found for device, found in offered.items()}
    chosen, is_exact = smallest_cover(by_device)
    assert is_exact

    def total(subset: set[str]) -> float:
        return sum(
            min((cost for artifact, cost in found.items() if artifact in subset), default=np.inf)
            for found in by_device.values()
        )

    subsets = [{letter for place, letter in enumerate("abcde") if number >> place & 1} for number in range(1, 32)]
    covering = [subset for subset in subsets if total(subset) < np.inf]
    assert len(chosen) == min(map(len, covering))
    assert total(set(chosen)) == min(total(subset) for subset in covering if len(subset) == len(chosen))


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=30))
def test_the_front_holds_what_nothing_beats(points: list[tuple[int, int]]) -> None:
    kept = [points[place] for place in front(np.array(points))]
    for x, y in points:
        assert any(a <= x and b <= y for a, b in kept)
    for place, (x, y) in enumerate(kept):
        assert not any((a <= x and b <= y) for other, (a, b) in enumerate(kept) if other != place)
