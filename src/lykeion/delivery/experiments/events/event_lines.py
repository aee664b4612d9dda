"""Events as JSON lines, one a line::

{"id": "41", "unit": "phone-7", "name": "exposure", "at": 1796000000.5, "experiment": "new-embedder",
 "arm": "treatment", "attributes": {"class": "phone"}}
{"id": "42", "unit": "phone-7", "name": "click", "at": 1796000004.0, "value": 1}
"""

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from lykeion.core import Invalid
from lykeion.core.documents import parse_json
from lykeion.core.fields import Field, Fields

MAX_LINE_BYTES = 8_192
MAX_NAME = 128
MAX_NUMBER = 1e15
FIELDS = ("id", "unit", "name", "at", "received", "value", "experiment", "arm", "attributes")


class EventLineError(Invalid):
    """A line that is no event; the message has its number."""


@dataclass(frozen=True)
class UnitEvent:
    """Times are seconds since 1970: ``at`` by the unit's clock, ``received`` by ours.

    ``id`` tells the events of a unit apart. ``attributes`` is a JSON object.
    """

    id: str
    unit: str
    name: str
    at: float
    received: float
    value: float = 1.0
    experiment: str = ""
    arm: str = ""
    attributes: str = "{}"


def read_lines(lines: Iterable[bytes], received: float) -> Iterator[UnitEvent]:
    """``received`` is for those that do not say. Empty lines are nothing. Raises EventLineError."""
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield _event(line, f"line {number}", received)


def _event(line: bytes, where: str, received: float) -> UnitEvent:
    if len(line) > MAX_LINE_BYTES:
        raise EventLineError(f"{where}: more than {MAX_LINE_BYTES:,} bytes")
    fields = Fields(where, parse_json(line, EventLineError, "event", where=f"{where}: "), EventLineError)
    fields.only(*FIELDS)
    came = fields.optional("received", _number, received)
    attributes: dict[str, Any] = fields.optional("attributes", _attributes, {})
    return UnitEvent(
        fields.required("id", _name),
        fields.required("unit", _name),
        fields.required("name", _name),
        min(fields.required("at", _number), came),  # a clock ahead of ours cannot be right
        came,
        fields.optional("value", _number, 1.0),
        fields.optional("experiment", _name, ""),
        fields.optional("arm", _name, ""),
        json.dumps(attributes, sort_keys=True),
    )


def _name(field: Field) -> str:
    text = field.text()
    if len(text) > MAX_NAME:
        raise field.wrong(f"text of at most {MAX_NAME} characters")
    return text


def _number(field: Field) -> float:
    if isinstance(field.value, bool) or not isinstance(field.value, int | float):
        raise field.wrong("a number")
    if not math.isfinite(field.value) or abs(field.value) > MAX_NUMBER:
        raise field.wrong("a number below 10^15")
    return float(field.value)


def _attributes(field: Field) -> dict[str, Any]:
    values = field.fields().values
    for name, value in values.items():
        if not isinstance(value, str | int | float | bool):
            raise field.error(f"{field.where}: {name[:60]!r} is no text, number or truth value")
    return dict(values)
