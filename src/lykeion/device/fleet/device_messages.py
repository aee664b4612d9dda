"""What a device and its server say to each other, as typed and bounded data: JSON over HTTPS.

| call | says | is answered |
|---|---|---|
| POST /v1/device/enrol | EnrolRequest | Credential |
| POST /v1/device/renew | RenewRequest | Credential |
| POST /v1/device/state, with the credential | ReportedState | DesiredState |
| POST /v1/device/events, with the credential | an event batch | nothing |
| POST /v1/device/log, with the credential, if it was asked for | LogAnswer | nothing |

A credential goes as ``Authorization: Bearer``. A server that is busy answers 429 or 503 with ``Retry-After``.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from operator import itemgetter
from typing import Any, TypeAlias, TypeVar, cast

from lykeion.core import Invalid, parse_json
from lykeion.core.fields import Field, Fields
from lykeion.device.fleet.event_reports import KINDS, EventBatch, EventKind, ReportedEvent
from lykeion.device.signed_target import MAX_VERSION, is_model_name

ENROL, RENEW, STATE, EVENTS, LOG = (f"/v1/device/{call}" for call in ("enrol", "renew", "state", "events", "log"))
MAX_MESSAGE_BYTES = 1 << 20
MAX_ATTRIBUTES = 32
MAX_MODELS = 256
MAX_FLAGS = 256
MAX_TEXT = 256
MAX_EVENTS_AT_ONCE = 1_000
MAX_COUNTERS = 4
MAX_LOG_LINES = 1_000
MAX_LOG_LINE = 512
MAX_CLOCK_S = 1e15
Attribute: TypeAlias = str | int | float | bool
Message = TypeVar("Message")

_KEY = re.compile(r"[0-9a-f]{64}")
_SIGNATURE = re.compile(r"[0-9a-f]{128}")
_COUNTER = re.compile(r"[0-9a-f]{16}")
_ATTRIBUTE = re.compile(r"[a-z][a-z0-9_]{0,63}")
_EVENT: Callable[[Any], Any] = itemgetter("id", "kind", "name", "at", "fields")
_NUMBERS = (int, float)
_PLAIN = (str, int, bool)
_FLAG = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
"""Also the name of an experiment, under which a device is told its arm."""


class MessageError(Invalid):
    """A message that is not what its kind may be; the error names the field."""


@dataclass(frozen=True, slots=True)
class EnrolRequest:
    """``token`` can be used once; ``public_key`` is the device's own, Ed25519, in hexadecimal."""

    token: str
    public_key: str
    attributes: Mapping[str, Attribute] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RenewRequest:
    """``signature``, by the device's key, is of ``renewal(device, at)``; ``at`` is the device's time, seconds since
    1970, which the server accepts once and only near its own."""

    device: str
    at: int
    signature: str


@dataclass(frozen=True, slots=True)
class Credential:
    """``expires`` is in seconds since 1970."""

    device: str
    token: str
    expires: int


@dataclass(frozen=True, slots=True)
class ModelReport:
    """``running`` is the version that the app loads, 0 for none, ``file`` its digest or empty; ``step`` is that of
    the version on its way, or else of the one that runs; ``failed`` is the last version that was given up, and
    ``cause`` why."""

    running: int = 0
    file: str = ""
    step: str = "idle"
    failed: int = 0
    cause: str = ""


@dataclass(frozen=True, slots=True)
class ReportedState:
    """``software`` is the version of this package, ``runtime`` that of LiteRT."""

    software: str
    runtime: str
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    models: Mapping[str, ModelReport] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DesiredState:
    """``targets`` names by model the path of the target that is to run, among those that are signed; ``device_class``
    is the device's by its attributes. Ask again after ``poll_s`` seconds. ``log_request`` is the number of a request
    for the last ``log_lines`` lines of the device's log, 0 for none."""

    device_class: str
    targets: Mapping[str, str] = field(default_factory=dict)
    flags: Mapping[str, Attribute] = field(default_factory=dict)
    poll_s: int = 3_600
    log_request: int = 0
    log_lines: int = 0


@dataclass(frozen=True, slots=True)
class LogAnswer:
    """The lines for a request, the oldest first."""

    request: int
    lines: tuple[str, ...] = ()


def renewal(device: str, at: int) -> bytes:
    """What a device signs to renew its credential."""
    return f"lykeion device renewal\n{device}\n{at}".encode()


def to_plain(message: Any) -> dict[str, Any]:
    """A JSON value for the ``read_…`` of the message's kind."""
    return asdict(message)


def batch_plain(batch: EventBatch) -> dict[str, Any]:
    """A JSON value for ``read_batch``."""
    dropped = {counter: dict(totals) for counter, totals in batch.dropped.items()}
    return {"events": [asdict(event) for event in batch.events], "dropped": dropped}


def read_enrol_request(data: bytes) -> EnrolRequest:
    """Raises MessageError, as all of these do."""
    return _read(data, EnrolRequest, {"token": _text, "public_key": _hex(_KEY), "attributes": read_attributes})


def read_renew_request(data: bytes) -> RenewRequest:
    return _read(data, RenewRequest, {"device": _text, "at": _time, "signature": _hex(_SIGNATURE)})


def read_credential(data: bytes) -> Credential:
    return _read(data, Credential, {"device": _text, "token": _text, "expires": _time})


def read_reported_state(data: bytes) -> ReportedState:
    return reported_state_of(_plain(data))


def reported_state_of(plain: Any) -> ReportedState:
    reads = {"software": _text, "runtime": _text, "attributes": read_attributes, "models": _by_model(_model_report)}
    return _made(_fields(plain), ReportedState, reads)


def read_desired_state(data: bytes) -> DesiredState:
    """What a later server says besides is left out."""
    reads = {"device_class": _model, "targets": _by_model(_text), "flags": _flags, "poll_s": _poll}
    asked: _Reads = {
        "log_request": lambda each: each.number(0, 1 << 53),
        "log_lines": lambda each: each.number(0, MAX_LOG_LINES),
    }
    fields = Fields("message", parse_json(data, MessageError, "message", limit=MAX_MESSAGE_BYTES), MessageError)
    said: dict[str, Any] = {name: fields.required(name, read) for name, read in reads.items()}
    said |= {name: fields.optional(name, read, 0) for name, read in asked.items()}
    return DesiredState(**said)


def read_log_answer(data: bytes) -> LogAnswer:
    return _read(data, LogAnswer, {"request": lambda each: each.number(1, 1 << 53), "lines": _lines})


def read_batch(data: bytes) -> EventBatch:
    return batch_of(_plain(data))


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
    fields = _fields(plain)
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


_Reads: TypeAlias = Mapping[str, Callable[[Field], Any]]


def _read(data: bytes, kind: Callable[..., Message], reads: _Reads) -> Message:
    return _made(_fields(_plain(data)), kind, reads)


def _fields(plain: Any) -> Fields:
    if not isinstance(plain, dict):
        raise MessageError("the message is no map")
    return Fields("message", plain, MessageError)


def _plain(data: bytes) -> Any:
    return parse_json(data, MessageError, "message", limit=MAX_MESSAGE_BYTES)


def _made(fields: Fields, kind: Callable[..., Message], reads: _Reads) -> Message:
    fields.only(*reads)
    return kind(**{name: fields.required(name, read) for name, read in reads.items()})


def _text(field: Field) -> str:
    if not isinstance(field.value, str) or not 0 < len(field.value) <= MAX_TEXT or not field.value.isprintable():
        raise field.wrong(f"text of 1 to {MAX_TEXT} printable letters")
    return field.value


def _lines(field: Field) -> tuple[str, ...]:
    found = field.items()
    if len(found) > MAX_LOG_LINES:
        raise MessageError(f"{len(found):,} lines of a log; at most {MAX_LOG_LINES:,} may be sent")
    for each in found:
        if not isinstance(each.value, str) or len(each.value) > MAX_LOG_LINE or not each.value.isprintable():
            raise each.wrong(f"text of up to {MAX_LOG_LINE} printable letters")
    return tuple(each.value for each in found)


def _hex(pattern: re.Pattern[str]) -> Callable[[Field], str]:
    def read(field: Field) -> str:
        if not isinstance(field.value, str) or not pattern.fullmatch(field.value):
            raise field.wrong("hexadecimal digits, as many as it takes")
        return field.value

    return read


def _time(field: Field) -> int:
    return field.number(0, 1 << 40)


def _poll(field: Field) -> int:
    return field.number(1, 7 * 24 * 3600)


def _model(field: Field) -> str:
    if not isinstance(field.value, str) or not is_model_name(field.value):
        raise field.wrong("a name of up to 64 lower-case letters, digits and ._-")
    return field.value


def read_attributes(field: Field) -> dict[str, Attribute]:
    """Of a device: at most so many, with short names and values. Raises MessageError."""
    return _named(field, _ATTRIBUTE, "_")


def _flags(field: Field) -> dict[str, Attribute]:
    return _named(field, _FLAG, "_-")


def _named(field: Field, names: re.Pattern[str], marks: str) -> dict[str, Attribute]:
    fields = field.fields()
    if len(fields.values) > (most := max(MAX_ATTRIBUTES, MAX_FLAGS)):
        raise MessageError(f"{field.where} has {len(fields.values)} entries; at most {most} are allowed")
    if wrong := [name for name in fields.values if not names.fullmatch(name)]:
        shown = f"{field.where}: {wrong[0][:64]!r}"
        raise MessageError(f"{shown} is no name: up to 64 lower-case letters, digits and {marks}")
    return {name: fields.required(name, _attribute) for name in fields.values}


def is_flag(name: str, value: object) -> bool:
    """Whether a device takes a flag of this name and value."""
    if isinstance(value, str):
        fits = len(value) <= MAX_TEXT and (value.isprintable() or not value)
    elif isinstance(value, float):
        fits = math.isfinite(value)
    else:
        fits = isinstance(value, bool) or (isinstance(value, int) and abs(value) <= 1 << 53)
    return fits and _FLAG.fullmatch(name) is not None


def _attribute(field: Field) -> Attribute:
    value = field.value
    if isinstance(value, float) and not math.isfinite(value):
        raise field.wrong("a finite number")
    if isinstance(value, bool | float) or (isinstance(value, int) and abs(value) <= 1 << 53):
        return value
    return _maybe_text(field)


def _by_model(read: Callable[[Field], Any]) -> Callable[[Field], dict[str, Any]]:
    def read_all(field: Field) -> dict[str, Any]:
        fields = field.fields()
        if len(fields.values) > MAX_MODELS:
            raise MessageError(f"{field.where} has {len(fields.values)} models; at most {MAX_MODELS} are allowed")
        if wrong := [name for name in fields.values if not is_model_name(name)]:
            raise MessageError(f"{field.where}: {wrong[0][:64]!r} is not the name of a model")
        return {name: fields.required(name, read) for name in fields.values}

    return read_all


def _model_report(field: Field) -> ModelReport:
    return _made(
        field.fields(),
        ModelReport,
        {
            "running": _version,
            "file": _maybe_text,
            "step": _text,
            "failed": _version,
            "cause": _maybe_text,
        },
    )


def _version(field: Field) -> int:
    return field.number(0, MAX_VERSION)


def _maybe_text(field: Field) -> str:
    return "" if field.value == "" else _text(field)


def _event(fields: Fields) -> ReportedEvent:
    reads: _Reads = {
        "id": lambda each: each.number(0, 1 << 53),
        "kind": lambda each: each.one_of(KINDS),
        "name": _text,
        "at": _moment,
        "fields": _event_fields,
    }
    return _made(fields, ReportedEvent, reads)


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
