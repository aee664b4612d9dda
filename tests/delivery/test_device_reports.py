"""What devices send again counts once, none can fill the store, and the store knows what each was told."""

import sqlite3
from pathlib import Path

import pytest

from lykeion.delivery.device_service import (
    DeviceAdmission,
    FleetStore,
    NoSuchDevice,
    ask_log,
    device_log,
    lost_events,
    needed_versions,
    pin,
    told_versions,
    version_drift,
)
from lykeion.delivery.device_service.records.device_events import EventQuota, forget_old_events, note_events
from lykeion.delivery.device_service.records.device_logs import asked_log, forget_old_logs, note_log
from lykeion.delivery.device_service.records.first_events import forget_rollouts
from lykeion.delivery.device_service.records.fleet_records import note_state
from lykeion.delivery.device_service.records.told_records import note_told
from lykeion.delivery.device_service.store.fleet_store import _DEVICES
from lykeion.device import EventBatch, LogAnswer, ModelReport, ReportedEvent, ReportedState

from .devices import Clock, TestedDevice

DAY = 86_400.0
NOW = 20_000 * DAY + 100
COUNTER, OTHER = "0" * 16, "1" * 16


@pytest.fixture
def store(base: FleetStore) -> FleetStore:
    return base


@pytest.fixture
def device(store: FleetStore) -> str:
    return TestedDevice().enrolled(DeviceAdmission(store, Clock(NOW))).device


def _batch(first: int, count: int, **fields: str) -> EventBatch:
    numbers = range(first, first + count)
    return EventBatch(tuple(ReportedEvent(each, "event", "tapped", NOW, fields) for each in numbers), {})


def _kept(store: FleetStore) -> int:
    return store.rows("SELECT COUNT(*) AS n FROM events")[0]["n"]


def test_what_was_dropped_counts_once_however_often_it_is_sent(store: FleetStore, device: str) -> None:
    for totals in ({"event": 3}, {"event": 3}, {"event": 5, "outcome": 1}, {"event": 4}):
        note_events(store, device, EventBatch((), {COUNTER: totals}), NOW)
    assert lost_events(store, device) == {"event": 5, "outcome": 1}
    note_events(store, device, EventBatch((), {OTHER: {"event": 2}}), NOW)  # the device has lost its file
    assert lost_events(store, device) == {"event": 7, "outcome": 1}


def test_a_device_cannot_fill_the_table_of_counters(store: FleetStore, device: str) -> None:
    for number in range(40):
        note_events(store, device, EventBatch((), {f"{number:016x}": {"event": 1}}), NOW + number)
    assert lost_events(store, device) == {"event": 16}


def test_events_beyond_a_days_quota_are_refused_and_counted(store: FleetStore, device: str) -> None:
    quota = EventQuota(events_a_day=10)
    assert note_events(store, device, _batch(1, 8), NOW, quota) == 8
    assert note_events(store, device, _batch(5, 8), NOW, quota) == 2  # four were sent before
    assert (_kept(store), lost_events(store, device)) == (10, {"refused": 2})
    assert note_events(store, device, _batch(20, 8), NOW + DAY, quota) == 8


def test_events_are_bounded_by_their_size_too(store: FleetStore, device: str) -> None:
    quota = EventQuota(bytes_a_day=1_000)
    assert note_events(store, device, _batch(1, 50, text="x" * 200), NOW, quota) == 4
    assert _kept(store) == 4


def test_the_oldest_days_of_a_device_give_way_and_those_of_others_stay(store: FleetStore, device: str) -> None:
    other = TestedDevice().enrolled(DeviceAdmission(store, Clock(NOW))).device
    note_events(store, other, _batch(1, 5), NOW)
    quota = EventQuota(kept_events=20)
    for day in range(4):
        note_events(store, device, _batch(100 * day, 8), NOW + day * DAY, quota)
    kept = store.rows("SELECT device, MIN(at) AS first, COUNT(*) AS n FROM events GROUP BY device")
    assert {row["device"]: (row["first"], row["n"]) for row in kept} == {device: (NOW + 2 * DAY, 16), other: (NOW, 5)}
    assert forget_old_events(store, NOW + 200 * DAY) == 21


def _runs(store: FleetStore, device: str, version: int, at: float) -> None:
    models = {"shoes": ModelReport(version, "", "idle")} if version else {}
    note_state(store, device, ReportedState("1", "2.1", {}, models), at)


def test_drift_is_how_many_devices_run_another_version_than_they_were_told_and_for_how_long(
    store: FleetStore,
) -> None:
    admission = DeviceAdmission(store, Clock(NOW))
    one, two, three, gone = (TestedDevice().enrolled(admission).device for _ in range(4))
    for each in (one, two, three, gone):
        note_told(store, each, {"shoes": 1}, NOW)
    for each in (one, two, three):
        note_told(store, each, {"shoes": 2}, NOW + DAY)
        note_told(store, each, {"shoes": 2}, NOW + 2 * DAY)  # told again: since then as before
    _runs(store, one, 2, NOW + 2 * DAY)
    _runs(store, two, 1, NOW + 2 * DAY)
    admission.set_state(gone, "revoked", "ann")
    (drift,) = version_drift(store, NOW + 4 * DAY)
    assert (drift.model, drift.version, drift.told, drift.running, drift.behind) == ("shoes", 2, 3, 1, 2)
    assert (drift.silent, drift.oldest_s) == (1, 3 * DAY)
    assert told_versions(store, one) == {"shoes": (2, NOW + DAY)}
    note_told(store, one, {}, NOW + 3 * DAY)
    assert told_versions(store, one) == {}


def test_what_another_server_of_the_store_has_seen_of_its_rollout_stays(store: FleetStore) -> None:
    seen = [("ours", 0.0), ("of another server", 99 * 86_400.0), ("deleted", 1.0)]
    with store.transaction() as now:
        for rollout, at in seen:
            now.change("INSERT INTO firsts (rollout, measure, device, at) VALUES (?, 'crash', '', ?)", (rollout, at))
    assert forget_rollouts(store, ["ours"], 100 * 86_400.0) == 1
    assert {row["rollout"] for row in store.rows("SELECT rollout FROM firsts")} == {"ours", "of another server"}


def test_a_log_is_asked_for_once_and_only_its_answer_is_kept(store: FleetStore, device: str) -> None:
    assert (asked_log(store, device), device_log(store, device)) == ((0, 0), None)
    assert ask_log(store, device, 20, "ann", NOW) == 1
    assert ask_log(store, device, 30, "ann", NOW) == 2
    assert asked_log(store, device) == (2, 30)
    assert not note_log(store, device, LogAnswer(1, ("old",)), NOW)
    assert note_log(store, device, LogAnswer(2, ("one", "two")), NOW)
    assert not note_log(store, device, LogAnswer(2, ("again",)), NOW)
    assert asked_log(store, device) == (0, 0)
    found = device_log(store, device)
    assert found
    assert (found.answered, found.lines) == (2, ("one", "two"))
    assert store.rows("SELECT COUNT(*) AS n FROM audit WHERE who = 'ann'")[0]["n"] == 2
    forget_old_logs(store, NOW + 8 * DAY)
    found = device_log(store, device)
    assert found
    assert found.lines == ()
    with pytest.raises(NoSuchDevice, match="no device 'x'"):
        ask_log(store, "x", 20, "ann", NOW)


def test_a_file_of_the_first_format_is_brought_up_to_date(tmp_path: Path) -> None:
    base = sqlite3.connect(tmp_path / "old.db")
    for statement in _DEVICES:
        base.execute(statement)
    base.execute("INSERT INTO silences VALUES ('r', 'd', 5.0)")
    base.execute(f"PRAGMA application_id={0x4C594B46}")
    base.execute("PRAGMA user_version=1")
    base.commit()
    base.close()
    store = FleetStore(tmp_path / "old.db")
    assert [tuple(row) for row in store.rows("SELECT * FROM firsts")] == [("r", "silence", "d", 5.0, None)]
    store.close()


def test_versions_that_devices_are_told_or_pinned_to_are_needed(store: FleetStore) -> None:
    admission = DeviceAdmission(store, Clock(NOW))
    told, silent, pinned, gone = (TestedDevice().enrolled(admission).device for _ in range(4))
    for each, version in ((told, 3), (silent, 2), (gone, 1)):
        note_state(store, each, ReportedState("1", "2.1", {}, {}), NOW - (91 * DAY if each == silent else 0))
        note_told(store, each, {"shoes": version, "boots": 9}, NOW)
    pin(store, pinned, "shoes", 5, "ann", NOW)
    pin(store, gone, "shoes", 7, "ann", NOW)
    admission.set_state(gone, "decommissioned", "ann")
    assert needed_versions(store, "shoes", NOW) == {3, 5}
    assert needed_versions(store, "hats", NOW) == set()
