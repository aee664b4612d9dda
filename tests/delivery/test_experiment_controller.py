"""Experiments begin when they can, are halted by their guardrails, and end by hand; what they ship is argued."""

import asyncio
import json
import random
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

pytest.importorskip("duckdb")
pytest.importorskip("pyarrow")

from lykeion.control import Observed, SqliteStore
from lykeion.core import NotFound
from lykeion.delivery.device_service import FLEET_KINDS, DeviceAdmission, FleetStore
from lykeion.delivery.device_service.desired.device_arms import flags_by_experiments, number_by_experiment
from lykeion.delivery.device_service.fleet_resources import served_experiments
from lykeion.delivery.device_service.fleet_resources.followed_resources import NotListed
from lykeion.delivery.device_service.fleet_resources.served_experiments import (
    ServedExperiments,
    copy_events,
    forget_unit,
)
from lykeion.delivery.device_service.records.device_events import note_events
from lykeion.delivery.experiments import (
    EXPERIMENTS,
    Conclusion,
    ConclusionRefused,
    EarlierExperiment,
    Experiment,
    ExperimentArm,
    ExperimentLook,
    ExperimentMetric,
    UnfitForFlag,
    assigned_arm,
    check_conclusion,
    check_undecided,
    declaration_digest,
    observe_experiment,
    read_record,
    record_of,
    results,
)
from lykeion.delivery.experiments.events import EventLog, UnitEvent
from lykeion.delivery.rollouts import FleetDevice, OfferedVersion, VersionOffer, parse_halt_rule
from lykeion.device import DesiredState, EnrolRequest, EventBatch, ReportedEvent, to_plain
from lykeion.device.fleet.device_messages import read_desired_state
from lykeion.device.fleet.event_batches import read_batch
from lykeion.device.fleet.message_fields import MessageError

from .test_experiment_results import CLICKED, END, START, _log, experiment

NOW = datetime.fromtimestamp(START, UTC)
HOUR = timedelta(hours=1)


def _pending(**spec: Any) -> Experiment:
    made = experiment(**spec)
    return replace(made, status=structs.replace(made.status, state="Pending", started=None))


def _decide(tried: Experiment, now: datetime, answers: Mapping[type, Any]) -> Experiment:
    """As the loop does: asks until nothing more is asked for."""
    read: dict[Any, Any] = {}
    for _ in range(4):
        decision = EXPERIMENTS.reconcile(tried, Observed(read=read), now)
        if not (missing := [each for each in decision.reads if each not in read]):
            return tried.with_status(decision.status)
        for each in missing:
            answer = answers[type(each)]
            read[each] = answer(each) if callable(answer) else answer
    raise AssertionError("it asks for ever")


def _offer(asked: OfferedVersion) -> VersionOffer:
    return VersionOffer(int(asked.version[1:]), "sha256:1")


def _begun(**spec: Any) -> Experiment:
    return _decide(_pending(**spec), NOW, {EarlierExperiment: "", OfferedVersion: _offer, UnfitForFlag: ""})


def test_it_begins_with_the_versions_that_are_published_and_the_digest_of_its_declaration() -> None:
    status = _begun().status
    assert (status.state, status.numbers, status.started) == ("Running", (1, 2), NOW)
    assert status.declaration == declaration_digest(experiment().spec)


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ({EarlierExperiment: "older", OfferedVersion: _offer}, "WaitsForExperiment"),
        ({EarlierExperiment: "", OfferedVersion: None}, "NotPublished"),
        ({EarlierExperiment: NotFound("no registry"), OfferedVersion: _offer}, "Unavailable"),
    ],
)
def test_it_waits_for_its_model_and_its_versions(answers: Mapping[type, Any], reason: str) -> None:
    status = _decide(_pending(), NOW, answers).status
    assert (status.state, status.reason) == ("Pending", reason)


@pytest.mark.parametrize(("unfit", "state"), [("there is no flag 'theme'", "Pending"), ("", "Running")])
def test_it_waits_for_a_flag_that_it_fits(unfit: str, state: str) -> None:
    arms = tuple(ExperimentArm(name=name, share=0.5, value="true") for name in ("control", "treatment"))
    tried = _pending(model="", flag="theme", arms=arms)
    status = _decide(tried, NOW, {EarlierExperiment: "", UnfitForFlag: unfit}).status
    assert (status.state, unfit in status.message) == (state, True)


def _crashes(path: Path, rates: Mapping[str, float]) -> EventLog:
    log, chance, events = EventLog(path), random.Random(3), []
    for number in range(2_000):
        unit, at, arm = f"u{number}", START + number, chance.choice(["control", "treatment"])
        events.append(UnitEvent("x", unit, "exposure", at, at, 1.0, "try", arm))
        if chance.random() < rates[arm]:
            events += [UnitEvent(f"c{each}", unit, "crash", at + 5, at + 5, 3.0) for each in range(3)]
    log.append(events)
    return log


@pytest.mark.parametrize(("harm", "state"), [(1.0, "Running"), (5.0, "Halted")])
@pytest.mark.parametrize("rule", ["crash x2", "crash > 4%"])
def test_a_guardrail_halts_what_harms_and_nothing_else(tmp_path: Path, harm: float, state: str, rule: str) -> None:
    log = _crashes(tmp_path, {"control": 0.02, "treatment": 0.02 * harm})
    tried = _begun(guardrails=(parse_halt_rule(rule),), interval_seconds=600)
    look = {ExperimentLook: lambda asked: observe_experiment(tried, log, asked.until, asked.counted)}
    now = NOW
    while now < NOW + HOUR and tried.status.state == "Running":
        now += timedelta(seconds=600)
        tried = _decide(tried, now, look)
    assert tried.status.state == state
    assert state == "Running" or tried.status.reason == "Harm"
    assert sum(tried.status.units) > 500


def test_an_event_that_is_written_after_its_look_counts_at_the_next_and_once(tmp_path: Path) -> None:
    log = EventLog(tmp_path)
    tried = _begun(guardrails=(parse_halt_rule("crash x2"),), interval_seconds=600)
    log.append(UnitEvent("x", f"u{n}", "exposure", START + 1, START + 1, 1.0, "try", "treatment") for n in range(9))
    looked = []
    for number in range(4):
        if number:  # received long before the look that has passed
            log.append([UnitEvent("c", f"u{number}", "crash", START + 2, START + 2)])
        look = {ExperimentLook: lambda asked, of=tried: observe_experiment(of, log, asked.until, asked.counted)}
        tried = _decide(tried, NOW + (number + 1) * timedelta(seconds=600), look)
        (evidence,) = tried.status.evidence
        looked.append((evidence.moved, evidence.moved_events))
    assert looked == [(9, 0), (18, 1), (26, 2), (33, 3)]  # who has crashed is not at risk again


@pytest.mark.parametrize(
    ("rule", "name", "fields"),
    [
        ("p90_ms > 80", "run_times", {"p50_ms": 20.0, "p90_ms": 90.0}),
        ("crash x2", "given_up", {}),
        ("load_failure > 1%", "given_up", {}),
        ("run_failure x3", "run_failed", {}),
        ("spent > 1%", "spent", {}),
    ],
)
def test_guardrails_see_what_devices_report_of_the_model(
    base: FleetStore, tmp_path: Path, rule: str, name: str, fields: Mapping[str, Any]
) -> None:
    store, log = base, EventLog(tmp_path / "events")
    for number, (arm, model) in enumerate(
        (("treatment", "embedder"), ("treatment", "embedder"), ("control", "embedder"), ("treatment", "other"))
    ):
        shown = ReportedEvent(1, "exposure", "exposure", START + 1, {"experiment": "try", "variant": arm})
        note_events(store, f"phone-{number}", EventBatch((shown,), {}), START + 2)
        harm = ReportedEvent(
            2, "health", name, START + 3, {**fields, **({} if name == "spent" else {"model": model})}
        )
        note_events(store, f"phone-{number}", EventBatch((harm,), {}), START + 3)
    copy_events(store, log)
    tried = _begun(guardrails=(parse_halt_rule(rule),))
    (table,) = observe_experiment(tried, log, NOW + HOUR).tables.values()
    assert table.treated_failures == (3 if name == "spent" else 2), "those of another model are nobody's here"


def test_between_looks_nothing_is_asked() -> None:
    tried = _begun(guardrails=(parse_halt_rule("crash x2"),))
    decision = EXPERIMENTS.reconcile(tried, Observed(), NOW + HOUR / 2)
    assert decision.reads == ()
    assert decision.requeue_after_s == HOUR.seconds / 2


def test_it_is_stopped_and_concluded_by_hand_and_stays_so() -> None:
    tried = _begun()
    stopped = _decide(replace(tried, spec=structs.replace(tried.spec, stop="1")), NOW + HOUR, {})
    assert (stopped.status.state, stopped.status.stopped) == ("Stopped", NOW + HOUR)
    decision = Conclusion(ship="treatment", because="more clicks", by="ann")
    ended = _decide(replace(stopped, spec=structs.replace(stopped.spec, conclusion=decision)), NOW + 2 * HOUR, {})
    assert (ended.status.state, ended.status.stopped) == ("Concluded", NOW + HOUR)
    assert "ann ships treatment: more clicks" in ended.status.message
    assert _decide(ended, NOW + 9 * HOUR, {}).status.steps == ended.status.steps


def test_devices_run_the_version_of_their_arm_while_it_runs() -> None:
    tried = _begun()
    arms = {"control": 1, "treatment": 2}
    for name in ("phone-1", "phone-2", "phone-3", "phone-4"):
        number = number_by_experiment("embedder", FleetDevice(name, "any"), [tried], lambda where, attributes: True)
        assert number == arms[assigned_arm(tried.spec, "u", name) or ""]
    device = FleetDevice("phone-1", "any", {"country": "DE"})
    elsewhere = _begun(where="country = 'FR'")
    assert number_by_experiment("embedder", device, [elsewhere], lambda where, attributes: False) == 0
    assert number_by_experiment("other", device, [tried], lambda where, attributes: True) == 0
    arm = assigned_arm(tried.spec, "u", "phone-1")
    assert flags_by_experiments(device, [tried], lambda where, attributes: True) == {"try": arm}


def test_no_device_is_told_that_it_is_in_no_experiment_before_they_are_read(tmp_path: Path) -> None:
    async def meet() -> list[str]:
        store = SqliteStore(tmp_path / "rollouts.db", FLEET_KINDS)
        served = ServedExperiments(FleetStore(tmp_path / "fleet.db"), EventLog(tmp_path / "events"))
        with pytest.raises(NotListed, match="ask again"):
            served.running()
        following = asyncio.ensure_future(served.run(store))
        try:
            async with asyncio.timeout(60):
                while True:
                    with suppress(NotListed):
                        return [each.metadata.name for each in served.running()]
                    await asyncio.sleep(0.01)
        finally:
            following.cancel()
            await asyncio.wait([following])
            await store.close()

    assert asyncio.run(meet()) == []


@pytest.mark.parametrize(
    ("flag", "value", "told"),
    [("theme", '"dark"', {"theme": "dark"}), ("theme", '"' + 300 * "x" + '"', {}), ("No Name", "true", {})],
)
def test_devices_can_read_what_they_are_told_of_any_experiment(
    flag: str, value: str, told: Mapping[str, Any]
) -> None:
    arms = tuple(ExperimentArm(name=name, share=0.5, value=value) for name in ("control", "treatment"))
    tried = _begun(model="", flag=flag, arms=arms)
    tried = replace(tried, metadata=structs.replace(tried.metadata, name="2nd-embedder"))
    found = flags_by_experiments(FleetDevice("phone-1", "any"), [tried], lambda where, attributes: True)
    arm = assigned_arm(tried.spec, "u", "phone-1")
    assert found == {"2nd-embedder": arm, **told}
    said = json.dumps(to_plain(DesiredState("any", flags=found))).encode()
    assert read_desired_state(said).flags == found


def test_what_devices_report_is_counted_once_however_often_it_is_copied(base: FleetStore, tmp_path: Path) -> None:
    store, log = base, EventLog(tmp_path / "events")
    for number, arm in enumerate(("control", "treatment", "treatment")):
        shown = ReportedEvent(
            1, "app", "exposure", START + number, {"experiment": "try", "variant": arm, "class": "phone"}
        )
        clicked = ReportedEvent(2, "app", "click", START + number + 1, {"value": 2})
        note_events(store, f"phone-{number}", EventBatch((shown, clicked), {}), START + 10)
    assert copy_events(store, log) == 6
    assert copy_events(store, log) == 6, "those of the last seconds are copied again"
    store.close()
    found = results(experiment(minimum_units=2), log, END)
    assert found.counted == found.exposed == (1, 2)
    assert found.exploratory[0].value == "phone"


def test_a_deleted_device_leaves_no_event_and_one_that_is_sent_again_is_not_stored(
    base: FleetStore, tmp_path: Path
) -> None:
    store, log = base, EventLog(tmp_path / "events")
    secret = ReportedEvent(1, "event", "click", START, {"what": "rash"})
    for device in ("phone-1", "phone-2"):
        note_events(store, device, EventBatch((secret,), {}), START + 10)
    copy_events(store, log)
    note_events(store, "phone-1", EventBatch((replace(secret, id=2),), {}), START + 11)
    assert forget_unit(store, log, "phone-1") == 2
    assert note_events(store, "phone-1", EventBatch((secret, replace(secret, id=2)), {}), START + 12) == 0
    assert copy_events(store, log) == 1, "that of the other device"
    assert log.delete("phone-1") == 0
    kept = store.rows("SELECT kind, name, fields FROM events WHERE device = 'phone-1'")
    assert {tuple(dict(each).values()) for each in kept} == {("", "", "{}")}
    assert note_events(store, "phone-1", EventBatch((replace(secret, id=3),), {}), START + 13) == 1
    assert copy_events(store, log) == 2


def test_long_attributes_are_not_written_with_every_exposure(base: FleetStore, tmp_path: Path) -> None:
    store, log = base, EventLog(tmp_path / "events")
    admission = DeviceAdmission(store, lambda: START)
    for number, length in enumerate((10, 250)):
        many = {f"a{each}": length * "x" for each in range(200)}
        request = EnrolRequest(admission.new_token(60), 64 * str(number), many)
        device = admission.enrol(request).device
        fields = {"experiment": "try", "variant": "control", "class": "phone"}
        shown = ReportedEvent(1, "exposure", "exposure", START + 1, fields)
        note_events(store, device, EventBatch((shown,), {}), START + 2)
    copy_events(store, log)
    tried = experiment(breakdown=("class", "a7"))
    found = results(tried, log, END).exploratory
    assert [(each.attribute, each.value, sum(each.result.units)) for each in found] == [
        ("class", "phone", 2),
        ("a7", 10 * "x", 1),
    ]


def test_events_are_copied_in_parts_of_bounded_size(
    base: FleetStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served_experiments, "COPIED_AT_ONCE", 3)
    store, log = base, EventLog(tmp_path / "events")
    for number in range(10):
        event = ReportedEvent(1, "event", "click", START, {})
        note_events(store, f"phone-{number}", EventBatch((event,), {}), START + number // 4)
    assert copy_events(store, log) == 10
    assert [log.delete(f"phone-{number}") for number in range(10)] == 10 * [1]


def test_numbers_that_are_none_or_too_large_neither_end_the_server_nor_a_report(tmp_path: Path) -> None:
    """PostgreSQL takes no such time in the first place."""
    store, log = FleetStore(tmp_path / "fleet.db"), EventLog(tmp_path / "events")
    spent = {"name": "spent", "kind": "Mean", "event": "buy", "measured": "Sum"}
    for number in range(240):
        arm = "control" if number % 2 else "treatment"
        wild = number < 2
        bought = ReportedEvent(2, "event", "buy", "soon" if wild else START + 2, {"value": 1e308 if wild else 3.0})  # type: ignore[arg-type]
        again = replace(bought, id=3)
        shown = ReportedEvent(1, "exposure", "exposure", START + 1, {"experiment": "try", "variant": arm})
        note_events(store, f"phone-{number}", EventBatch((shown, bought, again), {}), START + 10)
    assert copy_events(store, log) == 720
    found = results(experiment(ExperimentMetric(**spent)), log, END).results[0]  # type: ignore[arg-type]
    assert (found.units, found.verdict) == ((120, 120), "too early")
    assert found.high is not None


@pytest.mark.parametrize("at", ["soon", True, 1e300, None])
def test_an_event_without_a_time_is_refused(at: object) -> None:
    event = {"id": 1, "kind": "event", "name": "buy", "at": at, "fields": {}}
    with pytest.raises(MessageError, match=r"at is .* must be a time"):
        read_batch(json.dumps({"events": [event], "dropped": {}}).encode())


def test_an_arm_is_shipped_if_it_is_better_and_otherwise_refused(tmp_path: Path) -> None:
    tried = experiment()
    better, alike = (results(tried, _log(tmp_path / str(each), better=each), END) for each in (0.1, 0.0))
    ship = Conclusion(ship="treatment", because="more clicks", by="ann")
    check_conclusion(tried, ship, better)
    with pytest.raises(ConclusionRefused, match=r"treatment is not better by clicked so far \(unclear\)"):
        check_conclusion(tried, ship, alike)
    check_conclusion(tried, structs.replace(ship, ship="control"), alike)
    with pytest.raises(ConclusionRefused, match="has no arm 'both'"):
        check_conclusion(tried, structs.replace(ship, ship="both"), better)
    with pytest.raises(ConclusionRefused, match="other shares than declared"):
        check_conclusion(tried, ship, replace(better, mismatch_p=0.001))


def test_a_conclusion_stays_though_its_record_may_be_written_again() -> None:
    ship = Conclusion(ship="treatment", because="more clicks", by="ann")
    tried = experiment(conclusion=ship)
    check_undecided(experiment(), ship)
    check_undecided(tried, ship)
    with pytest.raises(ConclusionRefused, match="try is concluded: ann ships treatment"):
        check_undecided(tried, structs.replace(ship, ship="control"))


def test_another_window_than_the_declared_one_ships_nothing(tmp_path: Path) -> None:
    declared = experiment()
    status = structs.replace(declared.status, declaration=declaration_digest(declared.spec))
    other = replace(experiment(window_seconds=60), status=status)
    found = results(other, _log(tmp_path), END)
    with pytest.raises(ConclusionRefused, match="the declaration is not the one of the start"):
        check_conclusion(other, Conclusion(ship="treatment", because="x", by="y"), found)


def test_a_record_holds_until_its_events_are_others(tmp_path: Path) -> None:
    import json

    log, tried = _log(tmp_path / "events", 1_000), experiment(CLICKED)
    path = tmp_path / "record.json"
    path.write_text(json.dumps(record_of(tried, results(tried, log, END)).document()))
    record = read_record(path)
    assert record.differences(log) == []
    log.delete("u9")
    assert "data" in record.differences(log)
