"""Events of a device in batches, as its server reads them: typed and bounded."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict
from operator import itemgetter
from typing import Any, TypeAlias, cast

from lykeion.core.fields import Field, Fields

from .event_reports import KINDS, EventBatch, EventKind, ReportedEvent
from .message_fields import (
    MAX_TEXT,
    Attribute,
    MessageError,
    Reads,
    made_of,
    message_fields,
    parse_message,
    read_text,
)

MAX_EVENTS_AT_ONCE = 1_000
MAX_COUNTERS = 4
MAX_CLOCK_S = 1e15

_COUNTER = re.compile(r"[0-9a-f]{16}")
_EVENT: Callable[[Any], Any] = itemgetter("id", "kind", "name", "at", "fields")
_NUMBERS = (int, float)
_PLAIN = (str, int, bool)


def batch_plain(batch: EventBatch) -> dict[str, Any]:
    """A JSON value for ``read_batch``."""
    dropped = {counter: dict(totals) for counter, totals in batch.dropped.items()}
    return {"events": [asdict(event) for event in batch.events], "dropped": dropped}


def read_batch(data: bytes) -> EventBatch:
    return batch_of(parse_message(data))


RightEvent: TypeAlias = tuple[int, EventKind, str, float, Mapping[str, Attribute]]
"""What ReportedEvent has."""


def batch_of(plain: Any) -> EventBatch:
    """Raises MessageError."""
    if (events := right_events(plain)) is not None:
        return EventBatch(tuple(ReportedEvent(*each) for each in events), {})
    return _checked_batch(plain)


def right_events(plain: Any) -> list[RightEvent] | None:
    """Of a batch in which nothing is wrong, and nothing was dropped; else None. Gateways read many: no Field is made
    of each value, as ``batch_of`` does to say what is wrong."""
    if type(plain) is not dict or len(plain) != 2 or plain.get("dropped") != {}:
        return None
    given = plain.get("events")
    if type(given) is not list or len(given) > MAX_EVENTS_AT_ONCE:
        return None
    found = [_right_event(each) for each in given]
    return None if None in found else cast("list[RightEvent]", found)


def _right_event(plain: Any) -> RightEvent | None:
    if type(plain) is not dict or len(plain) != 5:
        return None
    try:
        event = number, kind, name, at, fields = _EVENT(plain)
    except KeyError:
        return None
    if (
        type(number) is int
        and 0 <= number <= 1 << 53
        and kind in KINDS
        and type(name) is str
        and 0 < len(name) <= MAX_TEXT
        and name.isprintable()
        and type(at) in _NUMBERS
        and abs(at) <= MAX_CLOCK_S
        and type(fields) is dict
    ):
        for each, value in fields.items():
            if type(each) is not str or not (
                type(value) in _PLAIN or (type(value) is float and math.isfinite(value))
            ):
                return None
        return event
    return None


def _checked_batch(plain: Any) -> EventBatch:
    fields = message_fields(plain)
    fields.only("events", "dropped")
    events = fields.required("events", Field.items)
    if len(events) > MAX_EVENTS_AT_ONCE:
        raise MessageError(f"{len(events):,} events at once; at most {MAX_EVENTS_AT_ONCE:,} may be sent")
    dropped = fields.required("dropped", Field.fields)
    if len(dropped.values) > MAX_COUNTERS:
        raise MessageError(f"{len(dropped.values)} counters of dropped events; at most {MAX_COUNTERS} may be sent")
    counts = {_counter(name): dropped.required(name, _totals) for name in dropped.values}
    return EventBatch(tuple(_event(event.fields()) for event in events), counts)


def _counter(name: str) -> str:
    if not _COUNTER.fullmatch(name):
        raise MessageError(f"{name[:64]!r} is not the name of a counter: 16 hexadecimal digits")
    return name


def _totals(field: Field) -> dict[str, int]:
    totals = field.fields()
    totals.only(*KINDS)
    return {kind: totals.required(kind, lambda each: each.number(0, 1 << 53)) for kind in totals.values}


def _event(fields: Fields) -> ReportedEvent:
    reads: Reads = {
        "id": lambda each: each.number(0, 1 << 53),
        "kind": lambda each: each.one_of(KINDS),
        "name": read_text,
        "at": _moment,
        "fields": _event_fields,
    }
    return made_of(fields, ReportedEvent, reads)


def _moment(field: Field) -> float:
    """By a clock that may be wrong, but has a number."""
    value = field.value
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= MAX_CLOCK_S:
        raise field.wrong("a time in seconds since 1970")
    return value


def _event_fields(field: Field) -> dict[str, Attribute]:
    """Bounded by the message: text may be longer than an attribute's."""
    values = field.fields().values
    if wrong := [name for name, value in values.items() if not isinstance(value, str | int | float | bool)]:
        raise MessageError(f"{field.where}: {wrong[0][:64]!r} is no text, number or truth value")
    if wrong := [name for name, value in values.items() if isinstance(value, float) and not math.isfinite(value)]:
        raise MessageError(f"{field.where}: {wrong[0][:64]!r} is not a finite number")
    return dict(values)
