"""Multipart forms as almost all clients send them, read at once: a tenth of the time of a parser for streams.

What is read is what RFC 7578 asks for and nothing else: each part with its name, perhaps a file's name, and perhaps a
type, which is ignored. Anything unusual is for the other parser, so that there is one answer to it.
"""

import re
from dataclasses import dataclass

_BOUNDARY = re.compile(
    r'multipart/form-data; ?boundary=(?:"([0-9A-Za-z\'()+_,./:=?-]{1,70})"|([0-9A-Za-z\'+_.-]{1,70}))'
)
_HEAD = re.compile(
    rb'Content-Disposition: form-data; name="([0-9A-Za-z_-]{1,64})"(?:; filename="([ !#-\[\]-~]{1,255})")?\r\n'
    rb"(?:Content-Type: [0-9A-Za-z!#$&^_.+/-]{1,127}\r\n)?",
    re.IGNORECASE,
)
_MAX_PARTS = 64


@dataclass(frozen=True, slots=True)
class PlainPart:
    """A field, or a file if it has a file's name."""

    content: bytes
    filename: str | None


def read_plain_form(content_type: str, body: bytes) -> dict[str, PlainPart] | None:
    """The parts by name; None if it is not a form of this plain kind, or a name comes twice."""
    named = _BOUNDARY.fullmatch(content_type)
    if named is None:
        return None
    mark = b"--" + (named[1] or named[2]).encode()
    if not body.startswith(mark + b"\r\n"):
        return None
    parts: dict[str, PlainPart] = {}
    at, delimiter = len(mark) + 2, b"\r\n" + mark
    while len(parts) < _MAX_PARTS:
        head = _HEAD.match(body, at)
        if head is None or body[head.end() : head.end() + 2] != b"\r\n" or (name := head[1].decode()) in parts:
            return None
        start = head.end() + 2
        end = body.find(delimiter, start)
        if end < 0:
            return None
        parts[name] = PlainPart(body[start:end], None if head[2] is None else head[2].decode())
        at = end + len(delimiter) + 2
        if body[at - 2 : at] == b"--":
            return parts if body[at:] in (b"\r\n", b"") else None
        if body[at - 2 : at] != b"\r\n":
            return None
    return None
