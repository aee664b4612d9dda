"""``lykeion nas search`` and ``compare`` as a person types them; what runs long is made up."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from lykeion.cli import app
from lykeion.core import DONE_BUT, LykeionError
from lykeion.engines.choosing import write_profile
from lykeion.engines.running import processor
from lykeion.nas import (
    Budget,
    ComparedNetwork,
    ComparisonReport,
    EnergyTable,
    FoundNetwork,
    NasRequest,
    SearchComparison,
    SearchCost,
)
from lykeion.nas.runs import comparing as compare
from lykeion.nas.runs import searching as search
from lykeion.nas.runs.final import Trained
from lykeion.nas.runs.significance import PairedDifference
from tests.nas.strategies import tiny

GENOTYPE = tuple(slot.choices[0] for slot in tiny.space().slots)
LATENCY_MS = tiny.table().total(GENOTYPE)
FOUND = FoundNetwork(GENOTYPE, 0.81, LATENCY_MS, SearchCost(40, 12.0, 2**30), ())


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(search, "find_space", lambda name: tiny.space())
    monkeypatch.setenv("COLUMNS", "200")
    write_profile(replace(tiny.table().profile, soc=processor()), tmp_path / "here.json")
    data = tiny.write_photos(tmp_path / "stripes.npz")
    return ["--device", str(tmp_path / "here.json"), "--data", str(data), "--run", str(tmp_path / "run")]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["nas", *arguments], catch_exceptions=False)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[NasRequest]:
    asked: list[NasRequest] = []

    def fake(request: NasRequest, run: Path, **_: Any) -> FoundNetwork:
        asked.append(request)
        return FOUND

    monkeypatch.setattr(search, "search", fake)
    return asked


def test_a_search_prints_the_network_its_latency_and_its_cost(files: list[str], asked: list[NasRequest]) -> None:
    shown = run("search", "--target-ms", "2.4", "--budget-steps", "40", *files, "--quiet").stdout
    assert all(
        text in shown
        for text in (
            "k3e2-k3e2-k3e2-k3e2",
            f"{LATENCY_MS:.4g} ms",
            "µJ (modelled)",
            "0.8100",
            "40 steps, 12 s, 1,024 MiB",
        )
    )
    assert (asked[0].strategy, asked[0].target_ms, asked[0].budget) == ("single-path", 2.4, Budget(40))


def test_a_search_is_asked_for_energy_without_a_device(files: list[str], asked: list[NasRequest]) -> None:
    assert "ms" not in run("search", "--target-uj", "120", *files[2:], "--quiet").stdout.split()
    assert (asked[0].profile, asked[0].target_ms, asked[0].target_uj) == (None, None, 120)


@pytest.mark.parametrize("targets", [(), ("--target-ms", "1", "--target-uj", "1"), ("--target-ms", "1")])
def test_a_search_has_one_target(files: list[str], targets: tuple[str, ...]) -> None:
    asked = run("search", *targets, *(files[2:] if len(targets) == 2 else files))
    assert asked.exit_code == 2
    assert "--target-ms" in asked.stderr


@pytest.mark.parametrize(
    ("strategy", "given", "says"),
    [
        ("single-path", ("--child-steps", "5"), "trains no children; leave out --child-steps"),
        ("fbnet", ("--children", "table.jsonl"), "trains no children; leave out --children"),
        ("random", ("--epochs", "5"), "without --train nothing is trained after the search; leave out --epochs"),
    ],
)
def test_an_option_that_the_search_would_not_use_is_refused(
    strategy: str, given: tuple[str, ...], says: str, files: list[str], asked: list[NasRequest]
) -> None:
    done = run("search", "--strategy", strategy, "--target-ms", "1", *given, *files)
    assert done.exit_code == 2
    assert says in done.stderr
    assert not asked


def test_json_is_one_document(files: list[str], asked: list[NasRequest], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "train_final", lambda *_, **__: Trained(0.9, SearchCost(1, 1.0)))
    found = json.loads(run("search", "--target-ms", "2.4", "--train", *files, "--json").stdout)
    assert (found["genotype"], found["final_accuracy"], found["peak_bytes"]) == ("k3e2-k3e2-k3e2-k3e2", 0.9, 2**30)
    assert found["latency_ms"] == pytest.approx(LATENCY_MS)
    assert found["energy_uj"] == pytest.approx(EnergyTable(tiny.space()).total(GENOTYPE))


def test_nothing_found_says_what_to_do_and_ends_with_3(files: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = FoundNetwork(None, None, None, SearchCost(40, 12.0, 2**30), ())
    monkeypatch.setattr(search, "search", lambda *_, **__: nothing)
    done = run("search", "--target-ms", "2", *files)
    assert "none within the target; give a larger budget" in done.stdout
    assert done.exit_code == DONE_BUT
    assert json.loads(run("search", "--target-ms", "2", *files, "--json").stdout)["genotype"] is None


@pytest.mark.parametrize("number", ["nan", "inf", "-inf"])
def test_numbers_that_are_none_are_refused(number: str, files: list[str]) -> None:
    for option in ("--target-ms", "--target-uj", "--budget-seconds", "--learning-rate"):
        done = CliRunner().invoke(app, ["nas", "search", "--target-ms", "2.4", option, number, *files])
        assert done.exit_code == 2 or isinstance(done.exception, LykeionError), option


def test_a_target_out_of_reach_says_what_is_possible(files: list[str]) -> None:
    least = tiny.table().extremes()[0]
    with pytest.raises(LykeionError, match=rf"takes 0\.2 ms by nowhere; the least is {least:.2f}\d+ ms"):
        run("search", "--target-ms", "0.2", *files)


def test_a_comparison_prints_a_row_a_network(files: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[SearchComparison] = []

    def fake(comparison: SearchComparison, run: Path, **_: Any) -> ComparisonReport:
        asked.append(comparison)
        ours = ComparedNetwork(
            "random", "searched", ("tiny:a",), 2.2, 2.3, 2.2, 0.8, 0.81, 0.01, 3e-3, FOUND.cost,
            PairedDifference(0.02, 0.01, 0.03), "better",
        )  # fmt: skip
        rival = replace(ours, name="mobilenet-v2-0.35", kind="baseline", search_cost=None, difference=None)
        return ComparisonReport(
            2.4, rival.name, (ours, replace(rival, verdict="rival")), {"random": 0, "fbnet": 2}, 0.01
        )

    monkeypatch.setattr(compare, "compare", fake)
    arguments = ("compare", "--strategies", "random,fbnet", "--target", "mobilenet-v2-0.35", "--seeds", "2", *files)
    done = run(*arguments)
    assert done.exit_code == DONE_BUT  # FBNet found nothing
    shown = done.stdout
    assert all(text in shown for text in ("+1.00 … +3.00", "better", "rival", "fbnet: 2 searches found no network"))
    assert (asked[0].strategies, asked[0].seeds, asked[0].target) == (("random", "fbnet"), 2, "mobilenet-v2-0.35")
    assert json.loads(run(*arguments, "--json").stdout)["entries"][0]["verdict"] == "better"


@pytest.mark.parametrize("targets", [(), ("--target", "mobilenet-v2-0.35", "--target-ms", "2")])
def test_a_comparison_has_one_target(files: list[str], targets: tuple[str, ...]) -> None:
    result = CliRunner().invoke(app, ["nas", "compare", *targets, *files])
    assert (result.exit_code, "either --target-ms or --target" in result.stderr) == (2, True)


def test_an_unknown_strategy_or_profile_is_one_line(files: list[str], tmp_path: Path) -> None:
    with pytest.raises(LykeionError, match="strategy 'best' is unknown"):
        run("compare", "--strategies", "best", "--target-ms", "2", *files)
    with pytest.raises(LykeionError, match="cannot read the device profile"):
        run("search", "--target-ms", "2", *files, "--device", str(tmp_path / "none.json"))
