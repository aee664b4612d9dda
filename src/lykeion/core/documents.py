"""JSON and YAML documents that people wrote or that come from elsewhere: bounded, strict, errors of one line.

YAML is read as kubectl reads it (YAML 1.1 with the octal numbers of 1.2; a date or 12:30 is text), but what kubectl
takes in silence and a person cannot have meant is refused: see docs/decisions/documents.md.
"""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import json
import math
import re
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from .errors import LykeionError, first_line
from .fields import Field, Fields, SpecError

LIMIT_BYTES = 1 << 20
LIMIT_DEPTH = 64
LIMIT_LETTERS = 70
"""Of a number: 64 bits in the binary system, its sign and prefix."""


def read_bounded(path: Path, error: type[LykeionError], *, limit: int = LIMIT_BYTES) -> bytes:
    """A file's content. Raises ``error`` where it cannot be read or has over ``limit`` bytes."""
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as refused:
        raise error(f"{path} cannot be read: {refused.strerror or refused}") from None
    return _bounded(data, str(path), error, limit)


def read_json(path: Path, error: type[LykeionError], *, limit: int = LIMIT_BYTES) -> dict[str, Any]:
    """A JSON object. Raises ``error`` as ``read_bounded`` and ``parse_json`` do."""
    return parse_json(read_bounded(path, error, limit=limit), str(path), error, limit=limit)


def parse_json(
    data: bytes | str, where: str, error: type[LykeionError], *, limit: int = LIMIT_BYTES
) -> dict[str, Any]:
    """A JSON object; ``where`` names it. Raises ``error`` as ``json_value`` does, and for another value."""
    value = json_value(data, where, error, limit=limit)
    if not isinstance(value, dict):
        raise error(f"{where}: not a JSON object")
    return value


def json_value(data: bytes | str, where: str, error: type[LykeionError], *, limit: int = LIMIT_BYTES) -> Any:
    """A value of RFC 8259 in UTF-8, with or without a byte order mark.

    Raises ``error`` for anything else, names given twice, numbers beyond 64 bits, and what exceeds the limits.
    """
    _bounded(data, where, error, limit)
    try:
        text = data if isinstance(data, str) else data.decode("utf-8-sig")
        value = _decoder.decode(text)
        _check_depth(value)
    except json.JSONDecodeError as wrong:
        raise error(f"{where}, line {wrong.lineno}: not JSON ({wrong.msg})") from None
    except UnicodeDecodeError as wrong:
        raise error(f"{where}, line {wrong.object[: wrong.start].count(10) + 1}: not UTF-8") from None
    except RecursionError:
        raise error(f"{where}: more than {LIMIT_DEPTH} levels") from None
    except ValueError as wrong:
        raise error(f"{where}: {wrong}") from None
    return value


def read_yaml(path: Path, error: type[LykeionError] = SpecError) -> Fields:
    """A file with one YAML document, a mapping. Raises ``error``, also where the file holds more."""
    documents = list(read_yaml_documents(path, error))
    if len(documents) > 1:
        raise error(f"{path} holds {len(documents)} documents; give a file with one")
    if not documents:
        raise error(f"{path} is empty; it must hold a mapping from names to values")
    return Fields(str(path), documents[0].values, error)


def read_yaml_documents(path: Path, error: type[LykeionError] = SpecError) -> Iterator[Fields]:
    """The mappings in a YAML file; empty documents are passed over. Raises ``error``, naming file and line."""
    import yaml

    data = read_bounded(path, error)
    values = _yaml_values(data)
    number = 0
    try:
        for value in values:
            number += 1
            if value is not None:
                yield Field(str(path) if number == 1 else f"{path}, document {number}", value, error).fields()
    except (yaml.YAMLError, ValueError) as wrong:
        mark = getattr(wrong, "problem_mark", None)
        place = f", line {mark.line + 1}" if mark else ""
        raise error(f"{path}{place}: {getattr(wrong, 'problem', None) or first_line(wrong)}") from None


@contextmanager
def fitting(where: object, error: type[LykeionError]) -> Generator[None]:
    """What a document's values raise inside, as they are taken, is raised as ``error``: ``where``, and the field."""
    try:
        yield
    except KeyError as lacking:
        raise error(f"{where}: lacks the field {lacking}") from None
    except (ValueError, TypeError, AttributeError, RecursionError) as wrong:
        raise error(f"{where}: {first_line(wrong)}") from None


def plain_scalar(text: str) -> Any:
    """What a YAML scalar without quotes means. Raises ValueError for numbers beyond 64 bits, infinite or none."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789":
        return text
    if _NOT_FINITE.fullmatch(text):
        raise ValueError(f"{text} is no number in JSON; quote it if it is text")
    number = text.replace("_", "")
    if _INTEGER.fullmatch(number):
        digits = number.lower().lstrip("+-")
        base = _BASES.get(digits[:2]) or (8 if digits[0] == "0" else 10)
        return _whole(number.lower(), base)
    if _FLOAT.fullmatch(number) and math.isfinite(value := float(number)):
        return value
    return text


_WORDS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE", "y", "Y", "yes", "Yes", "YES", "on", "On", "ON"), True),
    **dict.fromkeys(("false", "False", "FALSE", "n", "N", "no", "No", "NO", "off", "Off", "OFF"), False),
}
_INTEGER = re.compile("[-+]?(0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_BASES = {"0x": 16, "0o": 8, "0b": 2}


def _yaml_values(data: bytes) -> Iterator[Any]:
    """The documents' values, as the parser of libyaml (which kubectl's is a port of) sees them."""
    import yaml

    events: Iterator[Any] = yaml.parse(data, getattr(yaml, "CSafeLoader", yaml.SafeLoader))

    def refuse(problem: str, at: Any) -> NoReturn:
        raise yaml.MarkedYAMLError(None, None, problem, at.start_mark)

    def value_of(event: Any, depth: int = 0) -> Any:
        if isinstance(event, yaml.AliasEvent):
            refuse("aliases (*name) are not read", event)
        kind = {yaml.ScalarEvent: "str", yaml.SequenceStartEvent: "seq", yaml.MappingStartEvent: "map"}[type(event)]
        if event.tag not in (None, f"tag:yaml.org,2002:{kind}"):
            refuse(f"the tag {event.tag} is not read; leave it out", event)
        if kind == "str":
            return scalar(event)
        if depth == LIMIT_DEPTH:
            refuse(f"more than {LIMIT_DEPTH} levels", event)
        return sequence(depth + 1) if kind == "seq" else mapping(depth + 1)

    def scalar(event: Any) -> Any:
        try:
            return plain_scalar(event.value) if event.implicit[0] else event.value
        except ValueError as wrong:
            refuse(str(wrong), event)

    def sequence(depth: int) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            items.append(value_of(event, depth))
        return items

    def mapping(depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            name = value_of(event, depth)
            if not isinstance(name, str):
                refuse("the name of a field is no text; quote it", event)
            if name == "<<" and event.implicit[0]:
                refuse("merge keys (<<) are not read", event)
            if name in found:
                refuse(f"{name} is given twice", event)
            found[name] = value_of(next(events), depth)
        return found

    for event in events:
        if isinstance(event, yaml.DocumentStartEvent):
            yield value_of(next(events))


def _whole(text: str, base: int = 10) -> int:
    if len(text) > LIMIT_LETTERS or not -(1 << 63) <= (value := int(text, base)) < 1 << 64:
        raise ValueError(f"{text[:30]} has over 64 bits; quote it if it is text")
    return value


def _fraction(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError(f"{text[:30]} is beyond what a number can be")
    return value


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number in JSON")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{name[:60]!r} is given twice")
        found[name] = value
    return found


_decoder = json.JSONDecoder(
    object_pairs_hook=_unique, parse_int=_whole, parse_float=_fraction, parse_constant=_refuse_constant
)


def _bounded(data: bytes | str, where: str, error: type[LykeionError], limit: int) -> Any:
    if len(data) > limit:
        raise error(f"{where} has over {limit:,} bytes, which is the most that is read")
    return data


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(LIMIT_DEPTH):
        held = (each.values() if isinstance(each, dict) else each for each in level if isinstance(each, dict | list))
        level = [inner for values in held for inner in values]
        if not level:
            return
    raise RecursionError
