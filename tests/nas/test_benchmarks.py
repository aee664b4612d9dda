"""The searches' benchmarks in miniature: what runs long is made up, what is computed from it is real."""

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from lykeion.nas import (
    ComparedNetwork,
    ComparisonReport,
    FoundNetwork,
    Genotype,
    NasRequest,
    SearchCost,
    parse_genotype,
)
from lykeion.nas.runs import searching, significance
from lykeion.nas.strategies.children import Child

from .strategies import tiny

SPACE, TABLE = tiny.space(), tiny.table()
BENCHMARKS = str(Path(__file__).parents[2] / "benchmarks")


def quality(genotype: Genotype) -> float:
    return 0.6 + 0.05 * sum(choice is not None and choice.kernel == 5 for choice in genotype)


@pytest.fixture
def cost(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(BENCHMARKS)
    import nas_cost

    def search(request: NasRequest, run: Path) -> FoundNetwork:
        genotype = tuple(slot.choices[0] for slot in SPACE.slots)
        return FoundNetwork(genotype, 0.7, TABLE.total(genotype), SearchCost(100, 40.0, 2**30), ())

    def job(module: str, asked: dict[str, Any]) -> dict[str, Any]:
        """As the process would: children into the table, accuracies out."""
        from lykeion.nas.strategies import children

        monkeypatch.setattr(
            children,
            "train_child",
            lambda problem, genotype, seed: Child(genotype, quality(genotype), SearchCost(10, 10.0)),
        )
        sys.modules["measuring.nas_job"].open_space = searching.open_space  # pyright: ignore
        problem = nas_cost.problem_of(NasRequest.from_json(json.loads(Path(asked["request"]).read_bytes())))
        known = children.Children(Path(asked["table"]), problem)
        return {
            "accuracies": [known(parse_genotype(each), 0).accuracy for each in asked["genotypes"]],
            "peak_bytes": 1,
        }

    monkeypatch.setattr(searching, "find_space", lambda name: SPACE)
    monkeypatch.setattr(nas_cost, "run_search", search)
    monkeypatch.setattr(nas_cost, "run_job", job)
    monkeypatch.setattr(nas_cost, "photos_for", lambda work, photos: str(tiny.write_photos(tmp_path / "s.npz")))
    yield nas_cost
    sys.modules.pop("nas_cost")


def settings(cost: ModuleType, **changes: object) -> Any:
    asked = cost.Settings("tiny", 2.4, 600, 100, 10, children=30, seeds=2, fbnet_seeds=2, replays=8, batch=16)
    return replace(asked, **changes)


@pytest.mark.slow
def test_strategies_that_sample_are_charged_children_until_they_reach_the_bar(
    cost: ModuleType, tmp_path: Path
) -> None:
    searched, children, replayed, bar = cost.run(settings(cost), TABLE.profile, tmp_path / "work")
    assert len(children) == 30
    assert [each.strategy for each in searched] == ["single-path", "fbnet"]
    assert bar == pytest.approx(0.6)  # of kernels of 3 alone
    assert [(each.strategy, each.times) for each in replayed] == [
        (name, times) for name in ("mnasnet", "evolution", "random") for times in (1, 4, 16)
    ]
    for each in replayed:
        assert len(each.histories) == 8
        assert all(spent is None or 10 <= spent.seconds <= 40 * each.times for spent in each.reached(bar))
    assert all(each.share(bar) == 1 for each in replayed if each.times == 16 and each.strategy != "mnasnet")


@pytest.mark.slow
def test_a_bar_that_no_child_reaches_is_a_result(
    cost: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = settings(cost)
    searched, children, _, _ = cost.run(asked, TABLE.profile, tmp_path / "work")
    problem = cost.problem_of(NasRequest.from_json(json.loads((tmp_path / "work" / "request.json").read_bytes())))
    replay = cost.Replay(children, problem.table)
    replayed = [cost.replay_strategy("random", 1, replay, problem, cost.Budget(seconds=40), 5)]
    page = "\n".join(cost.pages(asked, searched, children, replayed, 0.99, 2**30))
    assert "| random | 1× | 99.00 | 0 % | not reached | not reached |" in page


def test_the_table_of_children_is_within_the_window_but_for_neighbours(cost: ModuleType) -> None:
    drawn = cost.pool(SPACE, TABLE, settings(cost))
    assert len(set(drawn)) == 30
    inside = [0.9 * 2.4 <= TABLE.total(genotype) <= 2.4 for genotype in drawn]
    assert sum(inside) >= 20


def test_whether_a_network_a_device_pays_is_said_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    import nas_devices

    monkeypatch.setattr(significance, "RESAMPLES", 500)
    right = np.random.default_rng(0).random((3, 1000))

    def device(name: str, accuracy: float) -> Any:
        entries = (
            ComparedNetwork(
                "single-path",
                "searched",
                ("a",),
                2.0,
                2.1,
                2.0,
                0.8,
                accuracy,
                0.01,
                3e-3,
                SearchCost(9, 9.0, 9),
                None,
                "",
            ),
        )
        report = ComparisonReport(2.4, "mobilenet-v2-0.35", entries, {"single-path": 0}, 0.01)
        return nas_devices.Device(name, TABLE.profile, report, (), right < accuracy)

    devices = [device("host-1", 0.9), device("host-2", 0.8)]
    pairs = {("host-1", "host-1"): 2.0, ("host-2", "host-1"): 2.2, ("host-1", "host-2"): 3.0, ("host-2", "host-2"): 2}
    said = list(nas_devices.verdicts(devices, pairs))
    assert said[0] == "host-1: a network of its own pays: better against those for host-2, within the target too."
    assert said[1] == "host-2: a network of its own pays; those of the other devices are over its target."
    pairs["host-1", "host-2"] = 2.3
    assert "host-2: a network of its own is not shown to pay" in list(nas_devices.verdicts(devices, pairs))[1]
    page = "\n".join(nas_devices.pages(devices, pairs, nas_devices.QUICK))
    assert "| host-1 | 90.00 | 2 | 2.3 |" in page


def test_ranks_are_measured_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    import nas_rank

    asked: list[str] = []

    def job(module: str, what: dict[str, Any]) -> dict[str, Any]:
        asked.append(what["job"])
        return {"accuracies": [0.5 + 0.01 * len(asked)] * len(what["genotypes"])}

    monkeypatch.setattr(nas_rank, "run_job", job)
    genotypes = nas_rank.draw("mobilenetv3-32", 4)
    rows = nas_rank.measure(genotypes, tmp_path)
    assert nas_rank.measure(genotypes, tmp_path) == rows
    assert asked == ["inherit", *["children"] * 4]
    assert set(rows) == set(genotypes)
