"""What an experiment has shown: by the declaration, reproducible, and refused where it could mislead."""

import json
import random
import tracemalloc
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

pytest.importorskip("duckdb")
pytest.importorskip("pyarrow")

from lykeion.control import ResourceError, check_change, read_resource
from lykeion.core.fields import Fields
from lykeion.delivery.experiments import (
    EXPERIMENT,
    Experiment,
    ExperimentArm,
    ExperimentMetric,
    ExperimentSpec,
    assigned_arm,
    declaration_digest,
    looks,
    period_of,
    results,
    space_lines,
    team_draft,
)
from lykeion.delivery.experiments.events import EventLog, UnitEvent

START, MINUTE = 1_796_000_000.0, 60.0
END = START + 1e6
ARMS = (
    ExperimentArm(name="control", share=0.5, version="v1"),
    ExperimentArm(name="treatment", share=0.5, version="v2"),
)
CLICKED = ExperimentMetric(name="clicked", kind="Proportion", event="click")


def experiment(*metrics: ExperimentMetric, **spec: Any) -> Experiment:
    declared = {"arms": ARMS, "metrics": metrics or (CLICKED,), "model": "embedder", "window_seconds": 600}
    made = EXPERIMENT.new("try", ExperimentSpec(**{**declared, "late_seconds": 60, **spec}))
    status = structs.replace(made.status, state="Running", started=datetime.fromtimestamp(START, UTC))
    return replace(made, metadata=structs.replace(made.metadata, uid="u"), status=status)


def _events(units: int, clicks: Callable[[random.Random, str], int]) -> Iterable[UnitEvent]:
    chance = random.Random(1)
    for number in range(units):
        unit, at = f"u{number}", START + number
        arm = chance.choice(["control", "treatment"])
        kind = '{"class": "phone"}' if number % 2 else '{"class": "tablet"}'
        yield UnitEvent("x", unit, "exposure", at, at, 1.0, "try", arm, kind)
        for each in range(clicks(chance, arm)):
            yield UnitEvent(f"c{each}", unit, "click", at + 1 + each, at + 1 + each)


def _log(path: Path, units: int = 4_000, better: float = 0.1) -> EventLog:
    log = EventLog(path)
    rates = {"control": 0.2, "treatment": 0.2 + better}
    log.append(_events(units, lambda chance, arm: chance.random() < rates[arm]))
    return log


def test_a_better_arm_is_called_better_with_an_interval_around_its_effect(tmp_path: Path) -> None:
    found = results(experiment(), _log(tmp_path), END)
    (one,) = found.results
    assert one.verdict == "better"
    assert one.low is not None
    assert one.high is not None
    assert 0 < one.low < 0.1 < one.high
    assert sum(found.counted) == sum(found.exposed) == 4_000
    assert not found.mismatch


def test_direction_says_what_is_better(tmp_path: Path) -> None:
    fewer = structs.replace(CLICKED, direction="Decrease")
    assert results(experiment(fewer), _log(tmp_path), END).results[0].verdict == "worse"


def test_arms_that_are_alike_are_unclear_and_few_units_too_early(tmp_path: Path) -> None:
    assert results(experiment(), _log(tmp_path / "a", better=0.0), END).results[0].verdict == "unclear"
    assert results(experiment(), _log(tmp_path / "b", 150), END).results[0].verdict == "too early"
    assert results(experiment(), EventLog(tmp_path / "c"), END).results[0].verdict == "too early"


def test_the_same_declaration_and_events_give_the_same_record_and_others_another(tmp_path: Path) -> None:
    log, again = _log(tmp_path / "a", 500), EventLog(tmp_path / "b")
    events = list(_events(500, lambda chance, arm: chance.random() < {"control": 0.2, "treatment": 0.3}[arm]))
    random.Random(2).shuffle(events)
    for begin in range(0, len(events), 100):
        again.append(events[begin : begin + 150])
    first = results(experiment(), log, END).document()
    assert results(experiment(), again, END).document() == first
    assert results(experiment(window_seconds=60), log, END).document()["declaration"] != first["declaration"]
    log.delete("u7")
    assert results(experiment(), log, END).document()["data"] != first["data"]


def test_a_look_back_is_what_was_seen_then(tmp_path: Path) -> None:
    log, early = _log(tmp_path / "a"), EventLog(tmp_path / "b")
    until = START + 2_000
    then = [each for each in _log_events() if each.received <= until]
    early.append(then)
    assert results(experiment(), log, until).document() == results(experiment(), early, until).document()


def _log_events() -> list[UnitEvent]:
    rates = {"control": 0.2, "treatment": 0.3}
    return list(_events(4_000, lambda chance, arm: chance.random() < rates[arm]))


def test_looks_are_narrower_with_every_unit_and_end_with_the_result(tmp_path: Path) -> None:
    log = _log(tmp_path)
    path = looks(experiment(), log, END, "clicked", "treatment")
    (last,) = results(experiment(), log, END).results
    assert (path[-1].estimate, path[-1].low, path[-1].high) == (last.difference, last.low, last.high)
    assert path[-1].high - path[-1].low < path[0].high - path[0].low
    assert path[0].units > 20


def test_ratios_means_with_covariates_and_rare_events_are_compared(tmp_path: Path) -> None:
    log, events = EventLog(tmp_path), []
    chance = random.Random(4)
    for number in range(3_000):
        unit, at, arm = f"u{number}", START + number, chance.choice(["control", "treatment"])
        habit, better = chance.gammavariate(2, 2), 1.5 if arm == "treatment" else 1.0
        events.append(UnitEvent("x", unit, "exposure", at, at, 1.0, "try", arm))
        for name, count, offset in (
            ("search", 1 + round(habit), 1.0),
            ("click", round(habit * better), 2.0),
            ("click", round(habit), -5.0),
            ("crash", int(chance.random() < 0.01 * (4 if arm == "treatment" else 1)), 3.0),
        ):
            events += [
                UnitEvent(f"{name}{offset}{each}", unit, name, at + offset, at + offset) for each in range(count)
            ]
    log.append(events)
    metrics = (
        ExperimentMetric(name="per-search", kind="Ratio", event="click", denominator="search"),
        ExperimentMetric(name="clicks", kind="Mean", event="click"),
        ExperimentMetric(name="adjusted", kind="Mean", event="click", covariate_seconds=60),
        ExperimentMetric(name="crashed", kind="RareEvent", event="crash", direction="Decrease"),
    )
    found = {each.metric: each for each in results(experiment(*metrics), log, END).results}
    assert {name: each.verdict for name, each in found.items()} == {
        "per-search": "better", "clicks": "better", "adjusted": "better", "crashed": "worse"
    }  # fmt: skip
    plain, adjusted = (found[name].high - found[name].low for name in ("clicks", "adjusted"))  # type: ignore[operator]
    assert adjusted < 0.7 * plain
    assert found["crashed"].relative_low is not None
    assert 0 < found["crashed"].relative_low < 3


def test_p_values_are_corrected_over_all_metrics(tmp_path: Path) -> None:
    several = [CLICKED, *(ExperimentMetric(name=f"m{each}", kind="Proportion", event="none") for each in range(4))]
    found = results(experiment(*several), _log(tmp_path), END).results[0]
    assert found.corrected_p == pytest.approx(5 * found.p)


def test_units_in_other_shares_than_declared_are_told(tmp_path: Path) -> None:
    log = EventLog(tmp_path)
    chance = random.Random(1)
    log.append(
        UnitEvent("x", f"u{each}", "exposure", START + each, START + each, 1.0, "try", arm)
        for each, arm in enumerate(chance.choices(["control", "treatment"], [0.6, 0.4], k=4_000))
    )
    assert results(experiment(), log, END).mismatch


def test_a_breakdown_is_exploratory_and_adds_up(tmp_path: Path) -> None:
    found = results(experiment(), _log(tmp_path), END)
    assert [(each.attribute, each.value) for each in found.exploratory] == [("class", "phone"), ("class", "tablet")]
    units = [each.result.units for each in found.exploratory]
    assert tuple(map(sum, zip(*units, strict=True))) == found.counted


def test_long_attributes_of_one_unit_take_no_memory_for_the_others(tmp_path: Path) -> None:
    log = _log(tmp_path)
    long = json.dumps({"class": "phone", "note": 50_000 * "x"})
    log.append([UnitEvent("x", "long", "exposure", START + 1, START + 1, 1.0, "try", "control", long)])
    tracemalloc.start()
    found = results(experiment(), log, END)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sum(sum(each.result.units) for each in found.exploratory) == 4_001
    assert most < 50 << 20


def test_a_switchback_compares_periods(tmp_path: Path) -> None:
    ratio = ExperimentMetric(name="per-search", kind="Ratio", event="click", denominator="search")
    tried = experiment(ratio, design="Switchback", period_seconds=600, settle_seconds=60, late_seconds=0)
    log, events, chance = EventLog(tmp_path), [], random.Random(5)
    for number in range(20_000):
        at = START + number * 30.0
        arm = assigned_arm(tried.spec, "u", period_of(tried.spec, at)) or ""
        unit = f"person{chance.randrange(500)}"
        events.append(UnitEvent(f"x{number}", unit, "exposure", at, at, 1.0, "try", arm))
        events.append(UnitEvent(f"s{number}", unit, "search", at, at))
        if chance.random() < (0.3 if arm == "control" else 0.5):
            events.append(UnitEvent(f"c{number}", unit, "click", at, at))
    log.append(events)
    found = results(tried, log, END)
    assert sum(found.counted) == pytest.approx(1_000, abs=2), "a period is one observation"
    assert found.results[0].verdict == "better"
    assert found.results[0].difference == pytest.approx(0.2, abs=0.03)


def test_interleaving_finds_the_ranking_that_people_choose(tmp_path: Path) -> None:
    tried = experiment(ExperimentMetric(name="chosen", kind="Mean", event="click"), design="Interleaving")
    log, events, chance = EventLog(tmp_path), [], random.Random(6)
    good, bad = [f"g{each}" for each in range(10)], [f"b{each}" for each in range(10)]
    for number in range(400):
        unit, at = f"u{number}", START + number
        events.append(UnitEvent("x", unit, "exposure", at, at, 1.0, "try", "interleaved"))
        for place, (answer, team) in enumerate(team_draft(bad, good, 10, unit)):
            if chance.random() < (0.3 if answer.startswith("g") else 0.15):
                events.append(UnitEvent(f"c{place}", unit, "click", at + 1, at + 1, arm=ARMS[team].name))
    log.append(events)
    (found,) = results(tried, log, END).results
    assert found.verdict == "better"
    assert found.value > found.control  # type: ignore[operator]


def test_a_draft_has_each_answer_once_and_favours_nobody() -> None:
    first, second = list("abcdef"), list("cdefgh")
    credits = [0, 0]
    for seed in range(500):
        drafted = team_draft(first, second, 6, str(seed))
        assert len({each.answer for each in drafted}) == len(drafted) == 6
        credits[drafted[0].team] += 1
        assert all(each.answer in (first, second)[each.team] for each in drafted)
    assert min(credits) > 200
    assert team_draft(first, second, 6, "1") == team_draft(first, second, 6, "1")
    assert len(team_draft(list("ab"), list("ab"), 9, "1")) == 2


def test_more_coverage_moves_nobody_and_a_holdout_is_the_same_in_every_experiment() -> None:
    units = [f"u{each}" for each in range(3_000)]
    few, many = (experiment(coverage=each).spec for each in (0.2, 0.8))
    assert all(assigned_arm(many, "s", each) == arm for each in units if (arm := assigned_arm(few, "s", each)))
    held = [
        {each for each in units if assigned_arm(experiment(holdout=0.1).spec, seed, each) is None}
        for seed in ("one", "two")
    ]
    assert held[0] == held[1]
    assert 200 < len(held[0]) < 400


def test_experiments_divide_units_independently() -> None:
    units = [f"u{each}" for each in range(4_000)]
    both = [tuple(assigned_arm(experiment().spec, seed, each) for seed in ("one", "two")) for each in units]
    assert all(850 < both.count(pair) < 1_150 for pair in set(both))
    assert len(set(both)) == 4


def test_arms_in_spaces_of_their_own_are_told_what_has_to_be_built() -> None:
    one, other = frozenset({"sha256:1"}), frozenset({"sha256:2"})
    assert space_lines({"control": one, "treatment": one}) == []
    assert space_lines({"control": frozenset(), "treatment": frozenset()}) == []
    lines = space_lines({"control": one, "treatment": other})
    assert lines[:2] == ["arm control searches in sha256:1", "arm treatment searches in sha256:2"]
    assert "2 times" in lines[-1]


HALF = {"name": "a", "share": 0.5, "version": "v1"}


def _read(**changes: Any) -> Any:
    document = experiment().document()
    document["spec"] = {**document["spec"], **changes}
    return read_resource(Fields("exp.yaml", document), {EXPERIMENT.name: EXPERIMENT})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"analysisUnit": "event"}, "events of one unit are not independent"),
        ({"flag": "ranking"}, "give one of model and flag"),
        ({"metrics": [{"name": "m", "kind": "Ratio", "event": "click"}]}, "a ratio has a denominator"),
        (
            {"metrics": [{"name": "m", "kind": "RareEvent", "event": "e", "covariateSeconds": 9}]},
            "a covariate is",
        ),
        ({"design": "Switchback"}, "a switchback has periods"),
        ({"windowSeconds": 0}, "windowSeconds"),
        ({"arms": [HALF, {**HALF, "name": "b", "share": 0.4}]}, "add up"),
        ({"arms": [HALF, HALF]}, "differ"),
    ],
)
def test_a_declaration_that_could_mislead_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ResourceError, match=message):
        _read(**change)


@pytest.mark.parametrize("field", ["windowSeconds", "lateSeconds", "minimumUnits", "tuningUnits", "alpha"])
def test_what_was_declared_may_not_change_after_the_start(field: str) -> None:
    old = experiment()
    document = old.document()
    document["spec"][field] = document["spec"][field] * 2 if field != "alpha" else 0.1
    new = read_resource(Fields("exp.yaml", document), {EXPERIMENT.name: EXPERIMENT})
    with pytest.raises(ResourceError, match=f"{field} was declared at the start and may not change"):
        check_change(old, new)
    assert declaration_digest(new.spec) != declaration_digest(old.spec)
    check_change(old, replace(old, spec=structs.replace(old.spec, stop="now")))
