"""Events of devices: counted once however often they are sent, within a quota of each device."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from msgspec.json import encode

from lykeion.core import Invalid
from lykeion.delivery.device_service.store import FleetStore, FleetTransaction
from lykeion.device import EventBatch, EventFields, ReportedEvent, RightEvent

KEPT_EVENTS_S = 90 * 86_400
MAX_FIELDS_BYTES = 8_192
"""Of one event; devices send half of it at most."""
DAY_S = 86_400
MAX_COUNTERS = 16
"""Of dropped events, of one device: it begins another when its file is lost."""


class MessageTooLarge(Invalid):
    """An event with more fields than a device sends."""


@dataclass(frozen=True)
class EventQuota:
    """Of one device: what is taken in a day, and what is kept; beyond, the events of its oldest day are forgotten."""

    events_a_day: int = 20_000
    bytes_a_day: int = 4 << 20
    kept_events: int = 100_000
    kept_bytes: int = 16 << 20


QUOTA = EventQuota()


def note_events(store: FleetStore, device: str, batch: EventBatch, at: float, quota: EventQuota = QUOTA) -> int:
    """The number of events that are new and within the quota. Those that were sent before count once."""
    with store.transaction() as now:
        return keep_events(now, device, batch, at, quota)


def keep_events(now: FleetTransaction, device: str, batch: EventBatch, at: float, quota: EventQuota = QUOTA) -> int:
    """The same in a transaction. Raises MessageTooLarge, before anything is changed."""
    fields_of = [(each, _text(each.name, each.fields)) for each in batch.events]
    now.change("UPDATE devices SET seen_at = ? WHERE id = ?", (at, device))
    day = int(at // DAY_S)
    events, size, refused = _day(now, device, day)
    new = 0
    for each, fields in fields_of:
        if events + new >= quota.events_a_day or size + len(fields) > quota.bytes_a_day:
            refused += not _is_known(now, device, each)
        elif _insert(now, device, each, fields, at):
            new, size = new + 1, size + len(fields)
    now.change(
        "INSERT INTO event_days (device, day, events, bytes, refused) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (device, day) DO UPDATE SET events = excluded.events, bytes = excluded.bytes,"
        " refused = excluded.refused",
        (device, day, events + new, size, refused),
    )
    _forget_days(now, device, day, quota)
    _note_dropped(now, device, batch, at)
    return new


EventRow = tuple[str, int, str, str, str, float, float, str, int | None]
"""As in the table: device, number, kind, name, model, when it came, when it was sent, fields, version."""


def event_rows(device: str, events: Iterable[RightEvent], at: float) -> list[EventRow]:
    """Raises MessageTooLarge."""
    return [
        _row(device, number, kind, name, sent_at, fields, _text(name, fields), at)
        for number, kind, name, sent_at, fields in events
    ]


def keep_together(now: FleetTransaction, rows: Sequence[EventRow], at: float, quota: EventQuota = QUOTA) -> None:
    """Events of many devices, by few statements. Raises NotTogether, when what it has changed is to be undone."""
    came: dict[str, tuple[int, int]] = {}
    for row in rows:
        events, size = came.get(row[0], (0, 0))
        came[row[0]] = events + 1, size + len(row[7])
    if any(events > quota.events_a_day or size > quota.bytes_a_day for events, size in came.values()):
        raise NotTogether
    days = [(device, int(at // DAY_S), events, size, 0) for device, (events, size) in came.items()]
    seen = [(device, at) for device in came]
    now.change_all(  # first, as keep_events does: of two that wait for each other's rows a database ends one
        "UPDATE devices SET seen_at = seen.column2 FROM (VALUES {rows}) AS seen WHERE id = seen.column1", seen
    )
    if now.change_all(_INSERT, rows) < len(rows) or now.change_all(_add_to_days(quota), days) < len(days):
        raise NotTogether
    full = (
        "SELECT device FROM event_days WHERE device IN (VALUES {rows}) GROUP BY device"  # noqa: S608 - two numbers
        f" HAVING SUM(events) > {quota.kept_events:d} OR SUM(bytes) > {quota.kept_bytes:d}"
    )
    for found in now.rows_all(full, [(device,) for device in came]):
        _forget_days(now, found["device"], int(at // DAY_S), quota)


class NotTogether(Exception):
    """Events were sent before, or are beyond a quota: they are to be kept device by device."""


_INSERT = (
    "INSERT INTO events (device, number, kind, name, model, at, sent_at, fields, version)"
    " VALUES {rows} ON CONFLICT (device, number, sent_at) DO NOTHING"
)


def _add_to_days(quota: EventQuota) -> str:
    return (
        "INSERT INTO event_days (device, day, events, bytes, refused) VALUES {rows}"  # noqa: S608 - two numbers
        " ON CONFLICT (device, day) DO UPDATE SET events = event_days.events + excluded.events,"
        " bytes = event_days.bytes + excluded.bytes"
        f" WHERE event_days.events + excluded.events <= {quota.events_a_day:d}"
        f" AND event_days.bytes + excluded.bytes <= {quota.bytes_a_day:d}"
    )


def lost_events(store: FleetStore, device: str) -> dict[str, int]:
    """By kind, what a device had to drop; under ``refused``, what was beyond its quota."""
    lost = {
        row["kind"]: row["n"]
        for row in store.rows(
            "SELECT kind, SUM(events) AS n FROM dropped_events WHERE device = ? GROUP BY kind ORDER BY kind",
            (device,),
        )
    }
    (row,) = store.rows("SELECT SUM(refused) AS n FROM event_days WHERE device = ?", (device,))
    return {kind: count for kind, count in {**lost, "refused": row["n"] or 0}.items() if count}


def forget_old_events(store: FleetStore, at: float) -> int:
    with store.transaction() as now:
        now.change("DELETE FROM event_days WHERE day < ?", (int((at - KEPT_EVENTS_S) // DAY_S),))
        return now.change("DELETE FROM events WHERE at < ?", (at - KEPT_EVENTS_S,))


def forget_reports(store: FleetStore, device: str) -> int:
    """Of a device, what its events say: how many. Their numbers are kept as long as events, or one that is sent again
    would be new."""
    with store.transaction() as now:
        return now.change(
            "UPDATE events SET kind = '', name = '', model = '', fields = '{}', version = NULL"
            " WHERE device = ? AND name <> ''",
            (device,),
        )


def _day(now: FleetTransaction, device: str, day: int) -> tuple[int, int, int]:
    found = now.rows("SELECT events, bytes, refused FROM event_days WHERE device = ? AND day = ?", (device, day))
    return (found[0]["events"], found[0]["bytes"], found[0]["refused"]) if found else (0, 0, 0)


def _forget_days(now: FleetTransaction, device: str, today: int, quota: EventQuota) -> None:
    """The oldest days, until what is left is within the quota."""
    days = now.rows("SELECT day, events, bytes FROM event_days WHERE device = ? ORDER BY day", (device,))
    events, size = sum(each["events"] for each in days), sum(each["bytes"] for each in days)
    for each in days:
        if each["day"] == today or (events <= quota.kept_events and size <= quota.kept_bytes):
            return
        until = (each["day"] + 1) * DAY_S
        now.change("DELETE FROM events WHERE device = ? AND at < ?", (device, until))
        now.change("UPDATE event_days SET events = 0, bytes = 0 WHERE device = ? AND day = ?", (device, each["day"]))
        events, size = events - each["events"], size - each["bytes"]


def _note_dropped(now: FleetTransaction, device: str, batch: EventBatch, at: float) -> None:
    """Totals: what was sent before changes nothing."""
    for counter, totals in batch.dropped.items():
        for kind, events in totals.items():
            now.change(
                "INSERT INTO dropped_events (device, counter, kind, events, at) VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT (device, counter, kind) DO UPDATE SET at = excluded.at, events = CASE"
                " WHEN excluded.events > dropped_events.events THEN excluded.events"
                " ELSE dropped_events.events END",
                (device, counter, kind, events, at),
            )
    if batch.dropped:
        latest = now.rows(
            "SELECT counter FROM dropped_events WHERE device = ? GROUP BY counter ORDER BY MAX(at) DESC", (device,)
        )
        for each in latest[MAX_COUNTERS:]:
            now.change("DELETE FROM dropped_events WHERE device = ? AND counter = ?", (device, each["counter"]))


def _text(name: str, fields: EventFields) -> str:
    """As JSON."""
    try:
        text = encode(fields).decode()
    except (OverflowError, UnicodeEncodeError):  # of a large number, or half a character
        text = json.dumps(dict(fields))
    if len(text) > MAX_FIELDS_BYTES:
        raise MessageTooLarge(f"event {name}: {len(text):,} bytes of fields; at most {MAX_FIELDS_BYTES:,} are kept")
    return text


def _is_known(now: FleetTransaction, device: str, event: ReportedEvent) -> bool:
    asked = "SELECT 1 FROM events WHERE device = ? AND number = ? AND sent_at = ?"
    return bool(now.rows(asked, (device, event.id, event.at)))


def _insert(now: FleetTransaction, device: str, event: ReportedEvent, fields: str, at: float) -> int:
    row = _row(device, event.id, event.kind, event.name, event.at, event.fields, fields, at)
    return now.change_all(_INSERT, [row])


def _row(
    device: str, number: int, kind: str, name: str, sent_at: float, fields: EventFields, text: str, at: float
) -> EventRow:
    version: Any = fields.get("version")
    if version is not None and not (isinstance(version, int) and 0 <= version < 1 << 31):
        version = -1
    return device, number, kind, name, str(fields.get("model", ""))[:64], at, sent_at, text, version
