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

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from lykeion.core import parse_json
from lykeion.core.fields import Field, Fields
from lykeion.device.signed_target import MAX_VERSION, is_model_name

from .message_fields import (
    MAX_MESSAGE_BYTES,
    Attribute,
    MessageError,
    Reads,
    made_of,
    message_fields,
    parse_message,
    read_attributes,
    read_flags,
    read_maybe_text,
    read_message,
    read_text,
)

ENROL, RENEW, STATE, EVENTS, LOG = (f"/v1/device/{call}" for call in ("enrol", "renew", "state", "events", "log"))
MAX_MODELS = 256
MAX_LOG_LINES = 1_000
MAX_LOG_LINE = 512

_KEY = re.compile(r"[0-9a-f]{64}")
_SIGNATURE = re.compile(r"[0-9a-f]{128}")


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


def read_enrol_request(data: bytes) -> EnrolRequest:
    """Raises MessageError, as all of these do."""
    return read_message(
        data, EnrolRequest, {"token": read_text, "public_key": _hex(_KEY), "attributes": read_attributes}
    )


def read_renew_request(data: bytes) -> RenewRequest:
    return read_message(data, RenewRequest, {"device": read_text, "at": _time, "signature": _hex(_SIGNATURE)})


def read_credential(data: bytes) -> Credential:
    return read_message(data, Credential, {"device": read_text, "token": read_text, "expires": _time})


def read_reported_state(data: bytes) -> ReportedState:
    return reported_state_of(parse_message(data))


def reported_state_of(plain: Any) -> ReportedState:
    reads = {
        "software": read_text,
        "runtime": read_text,
        "attributes": read_attributes,
        "models": _by_model(_model_report),
    }
    return made_of(message_fields(plain), ReportedState, reads)


def read_desired_state(data: bytes) -> DesiredState:
    """What a later server says besides is left out."""
    reads = {"device_class": _model, "targets": _by_model(read_text), "flags": read_flags, "poll_s": _poll}
    asked: Reads = {
        "log_request": lambda each: each.number(0, 1 << 53),
        "log_lines": lambda each: each.number(0, MAX_LOG_LINES),
    }
    fields = Fields("message", parse_json(data, MessageError, "message", limit=MAX_MESSAGE_BYTES), MessageError)
    said: dict[str, Any] = {name: fields.required(name, read) for name, read in reads.items()}
    said |= {name: fields.optional(name, read, 0) for name, read in asked.items()}
    return DesiredState(**said)


def read_log_answer(data: bytes) -> LogAnswer:
    return read_message(data, LogAnswer, {"request": lambda each: each.number(1, 1 << 53), "lines": _lines})


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


def _lines(field: Field) -> tuple[str, ...]:
    found = field.items()
    if len(found) > MAX_LOG_LINES:
        raise MessageError(f"{len(found):,} lines of a log; at most {MAX_LOG_LINES:,} may be sent")
    for each in found:
        if not isinstance(each.value, str) or len(each.value) > MAX_LOG_LINE or not each.value.isprintable():
            raise each.wrong(f"text of up to {MAX_LOG_LINE} printable letters")
    return tuple(each.value for each in found)


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
    return made_of(
        field.fields(),
        ModelReport,
        {
            "running": _version,
            "file": read_maybe_text,
            "step": read_text,
            "failed": _version,
            "cause": read_maybe_text,
        },
    )


def _version(field: Field) -> int:
    return field.number(0, MAX_VERSION)
