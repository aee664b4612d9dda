"""Searches as they are asked for: a run directory, one result, resumed after a kill."""

import json
import math
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from lykeion.core import SILENT, Interrupted
from lykeion.nas import (
    STRATEGIES,
    Budget,
    EnergyTable,
    LatencyTable,
    NasRequest,
    SearchError,
    SpaceError,
    Strategy,
    find_strategy,
    parse_genotype,
    read_result,
    search,
)
from lykeion.nas.design_space.table import SlotTable
from lykeion.nas.runs import searching
from lykeion.nas.runs.searching import HISTORY, PICTURE, RESULT, begin
from lykeion.nas.strategies import children as children_module
from lykeion.nas.strategies.children import Child
from lykeion.nas.strategies.strategy import SearchCost
from lykeion.nets import Architecture
from tests.recorder import Recorder

from . import tiny

ROOT = Path(__file__).parents[3]
SPACE, TABLE = tiny.space(), tiny.table()


@pytest.fixture(autouse=True)
def tiny_space(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "find_space", lambda name: SPACE)


@pytest.fixture
def request_(tmp_path: Path) -> NasRequest:
    data = str(tiny.write_photos(tmp_path / "stripes.npz"))
    return NasRequest("random", "tiny", TABLE.profile, 2.4, data, tiny.recipe(steps=2), Budget(steps=6))


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What was trained, in place of training."""
    done: list[object] = []

    def train(problem: object, genotype: tuple[object, ...], seed: int) -> Child:
        done.append(genotype)
        return Child(genotype, 0.5 + 0.01 * len(done), SearchCost(2, 0.1))  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(children_module, "train_child", train)
    return done


def test_a_request_survives_json(request_: NasRequest) -> None:
    assert NasRequest.from_json(json.loads(json.dumps(request_.to_json()))) == request_
    with pytest.raises(SearchError, match="schema or version"):
        NasRequest.from_json({**request_.to_json(), "version": 3})


def test_every_strategy_has_the_name_it_is_found_by() -> None:
    for name in ("mnasnet", "evolution", "random", "single-path", "fbnet"):
        strategy: Strategy = find_strategy(name)
        assert strategy.name == name
    with pytest.raises(SearchError, match="strategy 'best' is unknown; use one of single-path"):
        find_strategy("best")


def test_a_run_directory_holds_what_was_found(request_: NasRequest, tmp_path: Path, trained: list[object]) -> None:
    run = tmp_path / "run"
    heard = Recorder()
    found = search(request_, run, reporter=heard)
    assert [notice.split(":")[0] for notice in heard.notices] == ["child 1", "child 2", "child 3"]
    assert found.cost.steps == 6
    assert found.cost.peak_bytes > 2**20
    architecture = Architecture.from_json((run / "architecture.json").read_bytes())
    result = json.loads((run / RESULT).read_bytes())
    assert architecture == SPACE.architecture(parse_genotype(result["genotype"]))
    assert (run / PICTURE).read_bytes().startswith(b"\x89PNG")
    assert len((run / HISTORY).read_text().splitlines()) == len(trained) == 3
    assert search(request_, run, reporter=SILENT) == read_result(run) == found
    assert len(trained) == 3


def test_a_directory_of_another_search_is_refused(
    request_: NasRequest, tmp_path: Path, trained: list[object]
) -> None:
    search(request_, tmp_path / "run", reporter=SILENT)
    with pytest.raises(SearchError, match="holds a search with another target_ms; give another --run"):
        search(replace(request_, target_ms=2.0), tmp_path / "run", reporter=SILENT)


def test_a_signal_ends_a_search_after_the_child_and_it_resumes(
    request_: NasRequest, tmp_path: Path, trained: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    train = children_module.train_child

    def ask(*given: object) -> Child:
        os.kill(os.getpid(), signal.SIGINT)
        return train(*given)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(children_module, "train_child", ask)
    with pytest.raises(Interrupted, match=r"1 children are in .*; run the same command again to resume"):
        search(request_, tmp_path / "run", reporter=SILENT)
    monkeypatch.setattr(children_module, "train_child", train)
    assert search(request_, tmp_path / "run", reporter=SILENT).cost.steps == 6
    assert len(trained) == 3


def test_a_killed_search_goes_on_with_its_children(
    request_: NasRequest, tmp_path: Path, trained: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    straight = search(request_, tmp_path / "straight", reporter=SILENT)
    trained.clear()
    train = children_module.train_child

    def killed(*arguments: object) -> Child:
        if len(trained) == 2:
            raise KeyboardInterrupt
        return train(*arguments)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(children_module, "train_child", killed)
    with pytest.raises(KeyboardInterrupt):
        search(request_, tmp_path / "run", reporter=SILENT)
    monkeypatch.setattr(children_module, "train_child", train)
    found = search(request_, tmp_path / "run", reporter=SILENT)
    assert len(trained) == 3
    assert found.history == straight.history


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_target_below_the_smallest_network_is_refused_by_every_strategy_before_anything_is_loaded(
    strategy: str, request_: NasRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "find_strategy", None)  # which loads a framework
    monkeypatch.setattr(searching, "load_data", None)
    least, _ = TABLE.extremes()
    says = rf"no network of space 'tiny' takes 0\.2 ms .* least is {math.floor(100 * least) / 100}"
    with pytest.raises(SpaceError, match=says):
        search(replace(request_, strategy=strategy, target_ms=0.2), tmp_path / "run", reporter=SILENT)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("least", [0.123449, 99.99951, 1234.5, 0.5])
def test_the_least_that_is_told_is_a_target_that_is_taken(least: float) -> None:
    table = SlotTable(SPACE, "a table", least, [dict.fromkeys(slot.choices, 0.0) for slot in SPACE.slots])
    table.unit = "ms"  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(SpaceError) as refused:
        table.check_target(least / 2)
    told = str(refused.value).removesuffix(" ms").rpartition(" ")[2]
    table.check_target(float(told))


def test_a_search_that_sees_no_network_within_the_target_finds_none(
    request_: NasRequest, tmp_path: Path, trained: list[object]
) -> None:
    least, _ = TABLE.extremes()
    asked = replace(request_, strategy="mnasnet", target_ms=least)
    found = search(asked, tmp_path / "run", reporter=SILENT)
    assert (found.genotype, found.accuracy, found.usage) == (None, None, None)
    assert not (tmp_path / "run" / "architecture.json").exists()


@pytest.mark.parametrize("number", [math.inf, math.nan, -1.0])
def test_targets_and_budgets_are_finite_numbers(number: float, request_: NasRequest) -> None:
    with pytest.raises(SearchError, match="a target of"):
        replace(request_, target_ms=number)
    with pytest.raises(SearchError, match="a budget of"):
        Budget(seconds=number)


@pytest.mark.parametrize("strategy", ["single-path", "fbnet"])
def test_a_supernet_is_searched_within_its_steps(
    request_: NasRequest, tmp_path: Path, strategy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = replace(SPACE, slots=SPACE.slots[:1])
    monkeypatch.setattr(searching, "find_space", lambda name: small)
    asked = replace(request_, strategy=strategy, budget=Budget(steps=12), target_ms=9.0)
    found = search(asked, tmp_path / "run", reporter=SILENT)
    assert found.cost.steps == 12
    assert found.genotype is not None
    assert found.usage == LatencyTable(small, TABLE.profile).total(found.genotype)
    assert [event["step"] for event in found.history] == list(range(1, 13))
    assert (tmp_path / "run" / PICTURE).exists()


@pytest.mark.slow
def test_a_supernet_trains_on_jax_too(request_: NasRequest, tmp_path: Path) -> None:
    program = """
from dataclasses import replace; from lykeion.nas.runs import searching
from tests.nas.strategies import tiny
from tests.recorder import Recorder
small = replace(tiny.space(), slots=tiny.space().slots[:1])
searching.find_space = lambda name: small
searching.main()
"""
    asked = replace(request_, strategy="single-path", budget=Budget(steps=4), target_ms=9.0)
    run = tmp_path / "run"
    begin(asked, run)
    subprocess.run(
        [sys.executable, "-c", program, str(run)], env={**os.environ, "KERAS_BACKEND": "jax"}, cwd=ROOT, check=True
    )
    found = read_result(run)
    assert (found.cost.steps, len(found.history)) == (4, 4)
    assert found.genotype is not None


@pytest.mark.parametrize("strategy", ["single-path", "random"])
def test_a_search_may_be_asked_for_energy(
    request_: NasRequest, tmp_path: Path, strategy: str, monkeypatch: pytest.MonkeyPatch, trained: list[object]
) -> None:
    small = replace(SPACE, slots=SPACE.slots[:1])
    monkeypatch.setattr(searching, "find_space", lambda name: small)
    energy = EnergyTable(small)
    least, most = energy.extremes()
    asked = replace(
        request_,
        strategy=strategy,
        profile=None,
        budget=Budget(steps=12),
        target_ms=None,
        target_uj=most if strategy == "single-path" else (least + most) / 2,
    )
    assert NasRequest.from_json(json.loads(json.dumps(asked.to_json()))) == asked
    found = search(asked, tmp_path / "run", reporter=SILENT)
    assert found.genotype is not None
    assert found.usage == energy.total(found.genotype) <= asked.target
    assert json.loads((tmp_path / "run" / "result.json").read_bytes())["unit"] == "µJ"


def test_a_search_has_one_target(request_: NasRequest) -> None:
    for changes in ({"target_uj": 5.0}, {"target_ms": None}, {"profile": None}):
        with pytest.raises(SearchError):
            replace(request_, **changes)


def test_a_supernet_needs_a_budget_in_steps(request_: NasRequest, tmp_path: Path) -> None:
    with pytest.raises(SearchError, match="give the budget in steps"):
        search(replace(request_, strategy="fbnet", budget=Budget(seconds=9)), tmp_path / "run", reporter=SILENT)
