"""The rules of a comparison, with made-up trainings; the parts are tested on their own."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lykeion.core import CONSOLE, SILENT, Reporter
from lykeion.engines.choosing import REFERENCE, Noise, Timing
from lykeion.engines.running import processor
from lykeion.nas import (
    Budget,
    ComparedNetwork,
    ComparisonReport,
    FoundNetwork,
    LatencyTable,
    NasRequest,
    SearchComparison,
    SearchCost,
    SearchError,
    SpaceError,
    compare,
)
from lykeion.nas.runs import comparing, searching, significance
from lykeion.nas.runs.final import Trained
from lykeion.nets import Architecture
from lykeion.nets.training import Dataset, Recipe
from tests.recorder import Recorder

from .strategies import tiny

SPACE = tiny.space()
PROFILE = replace(tiny.table().profile, soc=processor())
TABLE = LatencyTable(SPACE, PROFILE)
NARROW, WIDE = "mobilenet-v2-0.35", "mobilenet-v3-small-0.5"
TARGET_MS = 2.4


class World:
    """Everything slow, made up: searches, trainings, the test set and the clock. Counts what is asked of it."""

    def __init__(self) -> None:
        self.searches: list[NasRequest] = []
        self.trainings: list[tuple[str, int, float]] = []
        self.tests = 0
        self.stop_after: int | None = None
        self.ours, self.slower = 0.9, 1.0

    def search(self, request: NasRequest, run: Path, **_: object) -> FoundNetwork:
        self.searches.append(request)
        rng = np.random.default_rng(request.seed)
        genotype = SPACE.sample(rng)
        while not 0.8 * request.target_ms <= TABLE.total(genotype) <= request.target_ms:
            genotype = SPACE.sample(rng)
        return FoundNetwork(genotype, 0.8, TABLE.total(genotype), SearchCost(100, 9.0, 2**30), ())

    def train(
        self, architecture: Architecture, data: Dataset, recipe: Recipe, run: Path, *, reporter: Reporter = CONSOLE
    ) -> Trained:
        path = run / "trained.json"
        if not path.exists():
            if len(self.trainings) == self.stop_after:
                raise KeyboardInterrupt
            self.trainings.append((run.name, recipe.seed, recipe.learning_rate))
            path.parent.mkdir(parents=True)
            best_rate = 1.0 if architecture.name.startswith("tiny") else 0.5
            accuracy = self._accuracy(run.name) - 0.01 * abs(recipe.learning_rate / 3e-3 - best_rate)
            path.write_text(json.dumps(accuracy))
        return Trained(json.loads(path.read_text()), SearchCost(100, 10.0))

    def correct(self, data: Dataset, run: Path) -> np.ndarray:
        self.tests += 1
        seed = int(run.name.split("-")[-2])
        return np.random.default_rng(seed).random(1000) < self._accuracy(run.name)

    def time(
        self, networks: Mapping[str, Architecture], threads: int, journal: Path, *, reporter: Reporter = CONSOLE
    ):
        def timing(minimum_ms: float) -> Timing:
            return Timing(**dict.fromkeys(Timing.__slots__, minimum_ms))

        def latency_ms(name: str) -> float:
            if name.startswith("tiny:"):
                return self.slower * TABLE.total(searching.parse_genotype(name.partition(":")[2]))
            return TARGET_MS if NARROW in name else 3.0

        return {name: timing(latency_ms(name)) for name in networks} | {REFERENCE: timing(1.0)}

    def _accuracy(self, name: str) -> float:
        return 0.8 if name.startswith("mobilenet") else self.ours


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()
    monkeypatch.setattr(searching, "find_space", lambda name: SPACE)
    monkeypatch.setattr(significance, "RESAMPLES", 500)
    for name, replacement in (
        ("run_search", world.search),
        ("train_final", world.train),
        ("correct_on_test", world.correct),
        ("time_networks", world.time),
    ):
        monkeypatch.setattr(comparing, name, replacement)
    return world


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., ComparisonReport]:
    def run(**changes: object) -> ComparisonReport:
        data = tmp_path / "stripes.npz"
        if not data.exists():
            tiny.write_photos(data)
        asked = SearchComparison(
            ("single-path", "random"),
            "tiny",
            PROFILE,
            NARROW,
            str(data),
            Budget(steps=100),
            tiny.recipe(steps=10),
            tiny.recipe(steps=100, learning_rate=3e-3),
            baselines=(NARROW, WIDE),
        )
        return compare(replace(asked, **changes), tmp_path / "run", reporter=SILENT)  # pyright: ignore[reportArgumentType]

    return run


def entry(report: ComparisonReport, name: str) -> ComparedNetwork:
    return next(entry for entry in report.entries if entry.name == name)


def test_a_target_is_in_the_milliseconds_of_the_profile(world: World, run: Callable[..., ComparisonReport]) -> None:
    """A machine that runs the reference at half the speed that the profile saw measures the rival twice as slow."""
    run(profile=replace(PROFILE, noise=Noise(0.5, 0.0, 0.0, 5)))
    assert {each.target_ms for each in world.searches} == {0.97 * TARGET_MS / 2}


def test_a_win_is_higher_accuracy_at_or_below_the_rivals_latency(
    world: World, run: Callable[..., ComparisonReport]
) -> None:
    report = run()
    assert (report.rival, report.target_ms) == (NARROW, TARGET_MS)
    ours = entry(report, "single-path")
    assert ours.verdict == "better"
    assert ours.worst_latency_ms <= TARGET_MS
    assert ours.difference is not None
    assert 0 < ours.difference.low < 0.1 < ours.difference.high + 0.02
    assert entry(report, NARROW).verdict == "rival"
    assert entry(report, WIDE).verdict.startswith("over the target")


def test_a_network_over_the_target_does_not_win(world: World, run: Callable[..., ComparisonReport]) -> None:
    world.slower = 1.3
    assert entry(run(), "single-path").verdict == "over the target; better"


def test_equal_accuracy_shows_no_difference(world: World, run: Callable[..., ComparisonReport]) -> None:
    world.ours = 0.8
    assert entry(run(), "random").verdict == "no difference shown"


def test_every_strategy_searches_with_every_seed_an_equal_budget_and_below_the_target(
    world: World, run: Callable[..., ComparisonReport]
) -> None:
    run()
    assert [(each.strategy, each.seed) for each in world.searches] == [
        (strategy, seed) for strategy in ("single-path", "random") for seed in range(3)
    ]
    assert {each.budget for each in world.searches} == {Budget(steps=100)}
    assert {each.target_ms for each in world.searches} == {0.97 * TARGET_MS}


def test_all_have_an_equal_sweep_of_learning_rates_and_seeds(
    world: World, run: Callable[..., ComparisonReport]
) -> None:
    report = run()
    assert len(world.trainings) == 4 * (3 + 2)
    assert entry(report, NARROW).learning_rate == pytest.approx(1.5e-3)
    assert entry(report, "random").learning_rate == pytest.approx(3e-3)
    assert sorted(rate for name, seed, rate in world.trainings if name.startswith("random") and seed) == [3e-3, 3e-3]


def test_the_test_set_is_read_once(world: World, run: Callable[..., ComparisonReport]) -> None:
    first = run()
    assert world.tests == 4 * 3
    assert run() == first
    assert world.tests == 4 * 3


def test_a_killed_comparison_goes_on_with_the_next_training(
    world: World, run: Callable[..., ComparisonReport]
) -> None:
    world.stop_after = 7
    with pytest.raises(KeyboardInterrupt):
        run()
    assert world.tests == 0
    world.stop_after = None
    report = run()
    assert len(world.trainings) == 20
    assert len({name for name, *_ in world.trainings}) == 20
    assert entry(report, "single-path").verdict == "better"


def test_a_target_in_milliseconds_has_the_best_baseline_within_it_as_rival(
    world: World, run: Callable[..., ComparisonReport]
) -> None:
    assert run(target=2.5).rival == NARROW
    with pytest.raises(SearchError, match="holds a comparison with another target"):
        run(target=1.5)


def test_a_target_out_of_reach_is_refused_before_anything_is_measured_or_written(
    world: World, run: Callable[..., ComparisonReport], tmp_path: Path
) -> None:
    with pytest.raises(SpaceError, match=r"no network of space 'tiny' takes 0\.485 ms .*the least is 1\.06"):
        run(target=0.5)
    assert world.searches == []
    assert not (tmp_path / "run").exists()


def test_a_search_that_finds_nothing_is_a_result(
    world: World, run: Callable[..., ComparisonReport], monkeypatch: pytest.MonkeyPatch
) -> None:
    def search(request: NasRequest, run: Path, **_: object) -> FoundNetwork:
        if request.strategy == "random" and request.seed == 1:
            return FoundNetwork(None, None, None, SearchCost(100, 9.0), ())
        return world.search(request, run)

    monkeypatch.setattr(comparing, "run_search", search)
    report = run()
    assert report.not_found == {"single-path": 0, "random": 1}
    assert "random" not in [each.name for each in report.entries]


def test_another_device_is_costed_by_its_table_and_by_citations(
    world: World, run: Callable[..., ComparisonReport]
) -> None:
    report = run(profile=replace(PROFILE, soc="elsewhere"), cited_ms={NARROW: 2.4, WIDE: 3.0})
    assert entry(report, "single-path").latency_ms == pytest.approx(entry(report, "single-path").predicted_ms)
    assert report.noise is None


def test_another_device_without_citations_is_refused(run: Callable[..., ComparisonReport]) -> None:
    with pytest.raises(SearchError, match="measured on this machine"):
        run(profile=replace(PROFILE, soc="elsewhere"))
    with pytest.raises(SearchError, match=f"no latency is cited for baseline '{WIDE}'"):
        run(profile=replace(PROFILE, soc="elsewhere"), cited_ms={NARROW: 2.4})
    with pytest.raises(SearchError, match="none of the baselines"):
        run(target="resnet-50")


def test_the_report_is_kept_as_json_and_as_a_picture(
    world: World, run: Callable[..., ComparisonReport], tmp_path: Path
) -> None:
    report = run()
    kept = json.loads((tmp_path / "run" / "report.json").read_bytes())
    assert kept == json.loads(json.dumps(report.to_json()))
    assert (tmp_path / "run" / "pareto.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_what_a_search_in_another_process_reports_is_heard_and_its_error_is_told(tmp_path: Path) -> None:
    missing, heard = str(tmp_path / "missing"), Recorder()
    request = NasRequest(
        "random", "mobilenetv3-32", None, None, missing, tiny.recipe(steps=2), Budget(steps=6), target_uj=1000.0
    )
    with pytest.raises(SearchError, match=r"ended with code 2: .*missing"):
        comparing.run_search(request, tmp_path / "run", reporter=heard)
    assert any(notice.startswith("error: ") and missing in notice for notice in heard.notices)
