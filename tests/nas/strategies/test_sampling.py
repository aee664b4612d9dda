import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.measuring.replay import Replay, read_children
from lykeion.nas import Genotype
from lykeion.nas.strategies.children import Child, Children
from lykeion.nas.strategies.evolution import EvolutionSampler
from lykeion.nas.strategies.mnasnet import Controller, MnasNetSampler
from lykeion.nas.strategies.random_search import RandomSampler
from lykeion.nas.strategies.sampling import WINDOW, Sampler, draw_near, sample
from lykeion.nas.strategies.strategy import Budget, Problem, SearchCost, SearchError

from . import tiny

SPACE, TABLE = tiny.space(), tiny.table()
TARGET_MS = 2.2
MAKERS = [RandomSampler, EvolutionSampler, MnasNetSampler]


def quality(genotype: Genotype) -> float:
    """A made-up accuracy: large kernels in front, squeeze-and-excitation behind."""
    liked = sum(choice is not None and (choice.kernel == 5) == (place < 2) for place, choice in enumerate(genotype))
    return 0.5 + 0.1 * liked


def evaluate(genotype: Genotype, seed: int) -> Child:
    return Child(genotype, quality(genotype), SearchCost(10, 1.0))


@pytest.mark.parametrize("make", MAKERS)
def test_a_search_spends_its_budget_and_no_more(make: type[Sampler]) -> None:
    for budget, children in ((Budget(steps=95), 9), (Budget(seconds=7.5), 7), (Budget(100, 3), 3)):
        found = sample(make(SPACE, TABLE, TARGET_MS, 0), evaluate, TABLE, TARGET_MS, budget, 0)
        assert len(found.history) == children
        assert found.cost.steps == 10 * children


@pytest.mark.parametrize("make", MAKERS)
def test_what_is_found_is_the_best_child_within_the_target(make: type[Sampler]) -> None:
    found = sample(make(SPACE, TABLE, TARGET_MS, 1), evaluate, TABLE, TARGET_MS, Budget(steps=600), 1)
    assert found.genotype is not None
    assert found.usage == TABLE.total(found.genotype) <= TARGET_MS
    within = [event["accuracy"] for event in found.history if event["usage"] <= TARGET_MS]
    assert found.accuracy == max(within) == quality(found.genotype)


@pytest.mark.parametrize("make", MAKERS)
def test_a_search_is_a_function_of_its_seed(make: type[Sampler]) -> None:
    def history(seed: int) -> object:
        sampler = make(SPACE, TABLE, TARGET_MS, seed)
        return sample(sampler, evaluate, TABLE, TARGET_MS, Budget(steps=300), seed).history

    assert history(3) == history(3) != history(4)


@pytest.mark.parametrize("make", [RandomSampler, EvolutionSampler])
def test_children_lie_within_the_latency_window(make: type[Sampler]) -> None:
    found = sample(make(SPACE, TABLE, TARGET_MS, 2), evaluate, TABLE, TARGET_MS, Budget(steps=400), 2)
    shares = [event["usage"] / TARGET_MS for event in found.history]
    assert WINDOW[0] <= min(shares)
    assert max(shares) <= WINDOW[1]


def test_a_window_that_uniform_draws_miss_is_reached_by_changes() -> None:
    least = TABLE.rest + sum(min(TABLE.of(slot, choice) for choice in slot.choices) for slot in SPACE.slots)
    drawn = draw_near(SPACE, TABLE, least * 1.02, np.random.default_rng(0))
    assert TABLE.total(drawn) <= least * 1.02


@pytest.mark.slow
@pytest.mark.parametrize("make", [EvolutionSampler, MnasNetSampler])
def test_a_strategy_that_learns_proposes_better_networks_later(make: type[Sampler]) -> None:
    early, late = [], []
    for seed in range(5):
        found = sample(make(SPACE, TABLE, TARGET_MS, seed), evaluate, TABLE, TARGET_MS, Budget(steps=4000), seed)
        accuracies = [event["accuracy"] for event in found.history]
        early += accuracies[:40]
        late += accuracies[-40:]
    assert np.mean(late) > np.mean(early) + 0.03


def test_mnasnet_keeps_near_the_target_what_it_is_not_told_to() -> None:
    def latencies(target: float) -> list[float]:
        sampler = MnasNetSampler(SPACE, TABLE, target, 0)
        flat = lambda genotype, seed: Child(genotype, 0.8, SearchCost(1, 1.0))  # noqa: E731
        return [event["usage"] for event in sample(sampler, flat, TABLE, target, Budget(600), 0).history]

    assert np.mean(latencies(TARGET_MS)[-100:]) < np.mean(latencies(TARGET_MS)[:100]) - 0.1


def test_the_controllers_gradient_is_that_of_its_log_probability() -> None:
    """By what a step does: with small rates, a rewarded sequence becomes likelier, a punished one less likely."""
    for advantage in (1.0, -1.0):
        controller = Controller([3, 2, 4], np.random.default_rng(0))
        picks = [2, 0, 1]

        def log_probability(controller: Controller = controller, picks: list[int] = picks) -> float:
            chances = [chances for _, _, chances in controller._forward(picks)]
            return float(sum(np.log(chance[pick]) for chance, pick in zip(chances, picks, strict=True)))

        before = log_probability()
        controller.reinforce(picks, advantage)
        assert (log_probability() - before) * advantage > 0.01


def test_a_replayed_table_gives_the_nearest_child() -> None:
    rng = np.random.default_rng(0)
    children = [evaluate(SPACE.sample(rng), 0) for _ in range(30)]
    replay = Replay(children, TABLE)
    assert all(replay(child.genotype, 5) == child for child in children)
    neighbour = next(SPACE.neighbours(children[0].genotype))
    got = replay(neighbour, 0).genotype
    assert sum(ours != theirs for ours, theirs in zip(got, neighbour, strict=True)) <= 1


def test_an_empty_table_cannot_be_replayed() -> None:
    with pytest.raises(SearchError, match="train some first"):
        Replay([], TABLE)


class TestTableOfChildren:
    @pytest.fixture
    def problem(self, tmp_path: Path) -> Problem:
        return Problem(SPACE, TABLE, TARGET_MS, tiny.data(tmp_path), tiny.recipe())

    @pytest.fixture
    def trained(self, monkeypatch: pytest.MonkeyPatch) -> list[Genotype]:
        """What was trained, with a made-up training."""
        trained: list[Genotype] = []

        def train(problem: Problem, genotype: Genotype, seed: int) -> Child:
            trained.append(genotype)
            return evaluate(genotype, seed)

        monkeypatch.setattr("lykeion.nas.strategies.children.train_child", train)
        return trained

    def test_a_child_is_trained_once(self, tmp_path: Path, problem: Problem, trained: list[Genotype]) -> None:
        first = SPACE.sample(np.random.default_rng(0))
        for _ in range(2):
            children = Children(tmp_path / "table.jsonl", problem)
            assert children(first, 0) == children(first, 0) == evaluate(first, 0)
        assert trained == [first]
        assert read_children(tmp_path / "table.jsonl", problem) == [evaluate(first, 0)]

    def test_a_child_that_two_searches_trained_at_once_counts_once(
        self, tmp_path: Path, problem: Problem, trained: list[Genotype]
    ) -> None:
        first = SPACE.sample(np.random.default_rng(0))
        for children in [Children(tmp_path / "table.jsonl", problem), Children(tmp_path / "table.jsonl", problem)]:
            children(first, 0)
        assert trained == [first, first]
        assert read_children(tmp_path / "table.jsonl", problem) == [evaluate(first, 0)]

    def test_another_seed_or_recipe_is_another_child(
        self, tmp_path: Path, problem: Problem, trained: list[Genotype]
    ) -> None:
        first, path = SPACE.sample(np.random.default_rng(0)), tmp_path / "table.jsonl"
        other = Problem(SPACE, TABLE, TARGET_MS, problem.data, tiny.recipe(steps=13))
        Children(path, problem)(first, 0)
        Children(path, problem)(first, 1)
        Children(path, other)(first, 0)
        assert len(trained) == 3
        assert len(read_children(path, problem)) == 2

    def test_a_line_that_a_kill_cut_short_is_trained_again(
        self, tmp_path: Path, problem: Problem, trained: list[Genotype]
    ) -> None:
        path, rng = tmp_path / "table.jsonl", np.random.default_rng(0)
        first, second = SPACE.sample(rng), SPACE.sample(rng)
        Children(path, problem)(first, 0)
        whole = path.read_bytes()
        Children(path, problem)(second, 0)
        for length in range(len(whole), len(path.read_bytes()), 37):
            path.write_bytes(whole + path.read_bytes()[len(whole) : length])
            Children(path, problem)(second, 0)
            assert len(read_children(path, problem)) == 2

    def test_a_table_that_is_none_is_an_error_that_names_the_line(self, tmp_path: Path, problem: Problem) -> None:
        (tmp_path / "table.jsonl").write_text(json.dumps({"genotype": "k3e3", "accuracy": "x"}) + "\n")
        with pytest.raises(SearchError, match=r"table.jsonl, line 1"):
            Children(tmp_path / "table.jsonl", problem)


def test_a_space_of_one_network_is_searched_too() -> None:
    slots = tuple(replace(slot, choices=slot.choices[:1]) for slot in SPACE.slots)
    only = tuple(slot.choices[0] for slot in slots)
    target = TABLE.total(only)
    sampler = RandomSampler(replace(SPACE, slots=slots), TABLE, target, 0)
    assert sample(sampler, evaluate, TABLE, target, Budget(steps=20), 0).genotype == only
