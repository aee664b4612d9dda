"""What a device reports is bounded, survives, and what was dropped is known."""

import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lykeion.device.conversation import MessageFrame, read_frame, write_frame
from lykeion.device.fleet.event_batches import _checked_batch, batch_of, batch_plain
from lykeion.device.fleet.event_reports import KINDS, EventBatch, EventError, EventFields, EventReports
from lykeion.device.fleet.message_fields import MessageError


def _dropped(batch: EventBatch) -> dict[str, int]:
    """By kind, of all counters."""
    return dict(sum((Counter(totals) for totals in batch.dropped.values()), Counter[str]()))


@pytest.fixture
def reports(tmp_path: Path) -> EventReports:
    return EventReports(tmp_path / "reports.db", max_events=5, clock=lambda: 7.0)


def test_events_wait_in_order_until_they_have_arrived(reports: EventReports, tmp_path: Path) -> None:
    reports.add("shown", {"version": 3, "where": "list", "first": True}, "exposure")
    reports.add("bought", kind="outcome")
    again = EventReports(tmp_path / "reports.db")
    batch = again.batch()
    assert [(event.kind, event.name, event.at) for event in batch.events] == [
        ("exposure", "shown", 7.0),
        ("outcome", "bought", 7.0),
    ]
    assert batch.events[0].fields == {"version": 3, "where": "list", "first": True}
    reports.add("later")
    again.arrived(batch)
    assert [event.name for event in again.batch().events] == ["later"]


def test_exposures_outlive_outcomes_and_what_is_dropped_is_counted_by_kind(reports: EventReports) -> None:
    for number in range(4):
        reports.add("shown", {"n": number}, "exposure")
        reports.add("bought", {"n": number}, "outcome")
        reports.add("tapped")
    kept = Counter(event.kind for event in reports.batch().events)
    assert kept == {"exposure": 4, "outcome": 1}
    assert _dropped(reports.batch()) == {"event": 4, "outcome": 3}


def test_what_was_dropped_is_told_once(reports: EventReports) -> None:
    for _ in range(8):
        reports.add("tapped")
    batch = reports.batch()
    assert _dropped(batch) == {"event": 3}
    reports.arrived(batch)
    assert reports.batch().dropped == {}


def test_what_was_dropped_is_told_as_a_total_so_that_a_lost_answer_counts_nothing_twice(
    reports: EventReports, tmp_path: Path
) -> None:
    for _ in range(8):
        reports.add("tapped")
    lost = reports.batch()
    for _ in range(2):
        reports.add("tapped")
    again = EventReports(tmp_path / "reports.db").batch()
    assert (_dropped(lost), _dropped(again)) == ({"event": 3}, {"event": 5})
    assert again.dropped.keys() == lost.dropped.keys()
    reports.arrived(lost)
    assert _dropped(reports.batch()) == {"event": 5}


@given(st.lists(st.sampled_from([*KINDS, "send"]), max_size=40), st.integers(1, 6))
def test_every_event_arrives_or_is_counted(
    tmp_path_factory: pytest.TempPathFactory, acts: list[str], most: int
) -> None:
    reports = EventReports(tmp_path_factory.mktemp("reports") / "reports.db", max_events=most)
    added, told, dropped = Counter[str](), Counter[str](), Counter[str]()

    def send() -> None:
        batch = reports.batch(2)
        told.update(event.kind for event in batch.events)
        dropped.update({kind: count - dropped[kind] for kind, count in _dropped(batch).items()})
        reports.arrived(batch)

    for act in acts:
        if act == "send":
            send()
        else:
            reports.add("it", kind=act)  # type: ignore[arg-type]
            added[act] += 1
    for _ in range(most + 1):
        send()
    assert +(told + dropped) == added


def test_a_disk_that_cannot_be_written_ends_no_app_and_is_told_later(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    reports = EventReports(tmp_path / "file" / "reports.db")
    reports.add("shown", kind="exposure")
    assert _dropped(reports.batch()) == {"exposure": 1}
    (tmp_path / "file").unlink()
    reports.arrived(reports.batch())
    reports.add("shown", kind="exposure")
    batch = reports.batch()
    assert len(batch.events) == 1
    assert not batch.dropped


def test_a_batch_of_long_events_fits_in_a_frame_and_all_arrive(tmp_path: Path) -> None:
    reports = EventReports(tmp_path / "reports.db")
    for number in range(300):
        reports.add("seen", {"n": number, "text": "é" * 500, "more": "x" * 900})
    numbers: list[object] = []
    while (batch := reports.batch()).events:
        read_frame(write_frame(MessageFrame(1, "events", batch_plain(batch))))
        numbers += [event.fields["n"] for event in batch.events]
        reports.arrived(batch)
    assert numbers == list(range(300))


@pytest.mark.parametrize(
    "fields",
    [
        {f"{chr(97 + place // 10)}{place % 10}": 1 for place in range(250)},
        {f"{chr(97 + place // 10)}{place % 10}": 0.5 for place in range(250)},
        {"text": "x" * 4_000},
        {"text": "ü" * 600},
        {},
    ],
    ids=["small numbers", "fractions", "text", "other letters", "nothing"],
)
def test_a_batch_of_any_events_is_a_frame_that_gateways_take(tmp_path: Path, fields: EventFields) -> None:
    reports = EventReports(tmp_path / "reports.db")
    for _ in range(120):
        reports.add("tapped", fields)
    arrived = 0
    while (batch := reports.batch()).events:
        read_frame(write_frame(MessageFrame(1, "events", batch_plain(batch))))
        reports.arrived(batch)
        arrived += len(batch.events)
    assert arrived == 120


def test_a_damaged_file_is_put_aside(tmp_path: Path) -> None:
    path = tmp_path / "reports.db"
    path.write_bytes(b"no database " * 1000)
    reports = EventReports(path)
    reports.add("shown")
    assert len(reports.batch().events) == 1
    assert path.with_suffix(".damaged").exists()


def test_threads_report_at_once(tmp_path: Path) -> None:
    reports = EventReports(tmp_path / "reports.db")
    threads = [threading.Thread(target=lambda: [reports.add("tapped") for _ in range(20)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(reports.batch().events) == 80


@pytest.mark.parametrize(
    ("name", "fields", "kind"),
    [
        ("Shown", {}, "event"),
        ("shown\n", {}, "event"),
        ("shown", {"at": float("nan")}, "event"),
        ("shown", {"list": [1]}, "event"),
        ("shown", {"text": "x" * 5000}, "event"),
        ("shown", {}, "rumour"),
    ],
)
def test_what_cannot_be_reported_is_refused_in_one_line(
    reports: EventReports, name: str, fields: dict, kind: str
) -> None:
    with pytest.raises(EventError) as caught:
        reports.add(name, fields, kind)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


ANYTHING = st.sampled_from(
    [None, True, 3, 1.5, float("inf"), float("nan"), "a", "", "\0", b"b", [], {}, 1 << 60, "event"]
)
EVENTS = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("id", "kind", "name", "at", "fields", "more"), ANYTHING)
) | st.builds(
    lambda place, value, fields: (
        {"id": 1, "kind": "event", "name": "a", "at": 1.0, "fields": fields} | {place: value}
    ),
    st.sampled_from(["id", "kind", "name", "at", "fields", "more"]),
    ANYTHING,
    st.dictionaries(st.sampled_from(["a", 1]), ANYTHING, max_size=2),
)


@given(st.lists(EVENTS, max_size=3) | ANYTHING, st.just({}) | ANYTHING)
def test_events_that_are_read_quickly_are_those_that_are_read_field_by_field(events: object, dropped: object) -> None:
    def read(how: Callable[[object], EventBatch]) -> EventBatch | str:
        try:
            return how({"events": events, "dropped": dropped})
        except MessageError as error:
            return str(error)

    assert read(batch_of) == read(_checked_batch)
