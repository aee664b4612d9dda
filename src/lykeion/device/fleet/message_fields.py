"""How the values of a message are read: each by a function of its Field, which says what is wrong by name."""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, TypeVar

from lykeion.core import Invalid, parse_json
from lykeion.core.fields import Field, Fields

MAX_MESSAGE_BYTES = 1 << 20
MAX_ATTRIBUTES = 32
MAX_FLAGS = 256
MAX_TEXT = 256
Attribute: TypeAlias = str | int | float | bool
Message = TypeVar("Message")
Reads: TypeAlias = Mapping[str, Callable[[Field], Any]]

_ATTRIBUTE = re.compile(r"[a-z][a-z0-9_]{0,63}")
_FLAG = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
"""Also the name of an experiment, under which a device is told its arm."""


class MessageError(Invalid):
    """A message that is not what its kind may be; the error names the field."""


def read_message(data: bytes, kind: Callable[..., Message], reads: Reads) -> Message:
    return made_of(message_fields(parse_message(data)), kind, reads)


def message_fields(plain: Any) -> Fields:
    if not isinstance(plain, dict):
        raise MessageError("the message is no map")
    return Fields("message", plain, MessageError)


def parse_message(data: bytes) -> Any:
    return parse_json(data, MessageError, "message", limit=MAX_MESSAGE_BYTES)


def made_of(fields: Fields, kind: Callable[..., Message], reads: Reads) -> Message:
    fields.only(*reads)
    return kind(**{name: fields.required(name, read) for name, read in reads.items()})


def read_text(field: Field) -> str:
    if not isinstance(field.value, str) or not 0 < len(field.value) <= MAX_TEXT or not field.value.isprintable():
        raise field.wrong(f"text of 1 to {MAX_TEXT} printable letters")
    return field.value


def read_attributes(field: Field) -> dict[str, Attribute]:
    """Of a device: at most so many, with short names and values. Raises MessageError."""
    return _named(field, _ATTRIBUTE, "_")


def read_flags(field: Field) -> dict[str, Attribute]:
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
    return read_maybe_text(field)


def read_maybe_text(field: Field) -> str:
    return "" if field.value == "" else read_text(field)
