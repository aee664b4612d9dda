"""JSON and YAML documents from people and from untrusted sources: strict parsing, size limits, one-line errors.

YAML is read as kubectl reads it (YAML 1.1 with the octal numbers of 1.2; a date or 12:30 is text), but what kubectl
accepts silently and a person cannot have meant is refused: see docs/decisions/documents.md.
"""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import json
import math
import re
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from .errors import LykeionError, first_line
from .fields import Field, Fields, SpecError

Value = TypeVar("Value")

LIMIT_BYTES = 1 << 20
LIMIT_DEPTH = 64
LIMIT_LETTERS = 70
"""Of a number: 64 binary digits, sign and prefix."""


def read_bounded(path: Path, error: type[LykeionError], what: str = "document", *, limit: int = LIMIT_BYTES) -> bytes:
    """A file's content; ``what`` says what it should be. Raises ``error`` where it cannot be read or is larger."""
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as refused:
        raise error(f"{path}: cannot read the {what}: {refused.strerror or refused}") from None
    _check_size(data, f"{path}: ", error, what, limit)
    return data


def read_json(
    path: Path, error: type[LykeionError], what: str = "document", *, limit: int = LIMIT_BYTES
) -> dict[str, Any]:
    """A JSON object. Raises ``error`` as ``read_bounded`` and ``parse_json`` do."""
    return parse_json(read_bounded(path, error, what, limit=limit), error, what, where=f"{path}: ", limit=limit)


def read_json_as(
    make: Callable[[dict[str, Any]], Value],
    path: Path,
    error: type[LykeionError],
    what: str,
    *,
    limit: int = LIMIT_BYTES,
) -> Value:
    """What ``make`` makes of a JSON object. Raises ``error``, also where ``make`` does, with the path before it."""
    plain = read_json(path, error, what, limit=limit)
    try:
        return make(plain)
    except error as wrong:
        raise error(f"{path}: {wrong}") from None


def parse_json(
    data: bytes | str,
    error: type[LykeionError],
    what: str = "document",
    *,
    where: str = "",
    limit: int = LIMIT_BYTES,
) -> dict[str, Any]:
    """A JSON object; ``where`` begins the message. Raises ``error`` as ``json_value`` does, and for another value."""
    value = json_value(data, error, what, where=where, limit=limit)
    if not isinstance(value, dict):
        raise error(f"{where}not {_a(what)}: not a JSON object")
    return value


def json_value(
    data: bytes | str,
    error: type[LykeionError],
    what: str = "document",
    *,
    where: str = "",
    limit: int = LIMIT_BYTES,
) -> Any:
    """A value of RFC 8259 in UTF-8, with or without a byte order mark.

    Raises ``error`` for anything else, duplicate names, numbers beyond 64 bits, lone surrogates, and documents that
    exceed the limits.
    """
    _check_size(data, where, error, what, limit)
    try:
        text = data if isinstance(data, str) else data.decode("utf-8-sig")
        value = _decoder.decode(text)
        _check_depth(value)
        if _SURROGATE.search(text):
            json.dumps(value, ensure_ascii=False).encode()  # a lone surrogate can be neither printed nor written
        return value
    except json.JSONDecodeError as wrong:
        problem = f"line {wrong.lineno}: {wrong.msg}"
    except UnicodeDecodeError as wrong:
        problem = f"line {wrong.object[: wrong.start].count(10) + 1}: not UTF-8"
    except RecursionError:
        problem = f"more than {LIMIT_DEPTH} levels"
    except ValueError as wrong:
        problem = str(wrong)
    raise error(f"{where}not {_a(what)}: not JSON ({problem})")


def read_yaml(path: Path, error: type[LykeionError] = SpecError) -> Fields:
    """A file with one YAML document, a mapping. Raises ``error``, also where the file holds more."""
    return parse_yaml(read_bounded(path, error), error, str(path))


def parse_yaml(data: bytes, error: type[LykeionError], where: str) -> Fields:
    """One YAML document, a mapping. Raises ``error``, also where there are more."""
    documents = list(_mappings(data, error, where))
    if len(documents) > 1:
        raise error(f"{where} holds {len(documents)} documents; give a file with one")
    if not documents:
        raise error(f"{where} is empty; it must hold a mapping from names to values")
    return Fields(where, documents[0].values, error)


def read_yaml_documents(path: Path, error: type[LykeionError] = SpecError) -> Iterator[Fields]:
    """The mappings in a YAML file; empty documents are skipped. Raises ``error``, naming file and line."""
    yield from _mappings(read_bounded(path, error), error, str(path))


def _mappings(data: bytes, error: type[LykeionError], where: str) -> Iterator[Fields]:
    import yaml

    number = 0
    try:
        for value in _yaml_values(data):
            number += 1
            if value is not None:
                yield Field(where if number == 1 else f"{where}, document {number}", value, error).fields()
    except (yaml.YAMLError, ValueError) as wrong:
        mark = getattr(wrong, "problem_mark", None)
        place = f", line {mark.line + 1}" if mark else ""
        raise error(f"{where}{place}: {getattr(wrong, 'problem', None) or first_line(wrong)}") from None


@contextmanager
def fitting(error: type[LykeionError], what: str, *, where: str = "") -> Generator[None]:
    """Errors raised inside while values are read from a document become ``error``, which names the field."""
    try:
        yield
        return
    except KeyError as lacking:
        problem = f"lacks the field {lacking}"
    except TypeError as wrong:
        problem = _of_fields(str(wrong))
    except (ValueError, AttributeError, RecursionError) as wrong:
        problem = first_line(wrong)
    raise error(f"{where}not {_a(what)}: {problem}")


def _of_fields(message: str) -> str:
    """What Python says of a class that is made of a document's fields, in the document's words."""
    if unknown := re.search(r"unexpected keyword argument ('.*')", message):
        return f"it has no field {unknown[1]}"
    if lacking := re.search(r"missing \d+ required .*arguments?: (.*)", message):
        return f"lacks the field {lacking[1]}"
    return "a field holds a value of another type"


def plain_scalar(text: str) -> Any:
    """What a YAML scalar without quotes means. Raises ValueError for numbers beyond 64 bits, infinite or none."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789":
        return text
    if _NOT_FINITE.fullmatch(text):
        raise ValueError(f"{text} is not a JSON number; quote it if it is text")
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
    """The documents' values, as the parser of libyaml (kubectl's is a port of it) reads them."""
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
                refuse("the name of a field is not a string; quote it", event)
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
        raise ValueError(f"{text[:30]} is out of the range of a number")
    return value


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a JSON number")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{name[:60]!r} is given twice")
        found[name] = value
    return found


_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_decoder = json.JSONDecoder(
    object_pairs_hook=_unique, parse_int=_whole, parse_float=_fraction, parse_constant=_refuse_constant
)


def _a(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def _check_size(data: bytes | str, where: str, error: type[LykeionError], what: str, limit: int) -> None:
    if len(data) > limit:
        size = f"{limit >> 20} MiB" if limit >= 1 << 20 else f"{limit >> 10} KiB"
        raise error(f"{where}larger than {size}, more than any {what} has")


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(LIMIT_DEPTH + 1):
        level = [each for each in level if isinstance(each, dict | list)]
        if not level:
            return
        level = [inner for each in level for inner in (each.values() if isinstance(each, dict) else each)]
    raise RecursionError
