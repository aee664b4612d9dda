"""Heads of requests and responses: what is refused, and what is passed on. Pure functions over parsed headers.

Nothing is passed on as it came: each head is written anew, with one framing of its own, so that the proxy and a
replica cannot disagree on where a message ends (RFC 9112, 11.2). The parser, llhttp without its lenient options, has
refused what is malformed before; the rest of what could be read in two ways is refused here.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import TypeAlias
from urllib.parse import unquote_to_bytes

HeaderList: TypeAlias = Sequence[tuple[bytes, bytes]]
"""Names are in lower case."""

HOP_BY_HOP = frozenset(
    {b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection", b"te",
     b"trailer", b"transfer-encoding", b"upgrade", b"http2-settings"}
)  # fmt: skip
"""About one connection, not about the message: RFC 9110, 7.6.1."""
OURS = frozenset(
    {b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-prefix", b"x-forwarded-proto", b"x-real-ip",
     b"host", b"content-length"}
)  # fmt: skip
"""Written by the proxy; whatever the client sent in them says nothing."""
WITHOUT_RESPONSE_LOSS = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
"""Methods that may be sent again when no response came: RFC 9110, 9.2.2."""
CHUNKED = b"transfer-encoding: chunked"
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z._-]+)(:[0-9]{1,5})?")
_DOTS = re.compile(rb"(?:^|[/\\])\.\.?(?:[/\\;]|$)")


class BadRequest(Exception):
    """A request that is not passed on; ``str()`` is the line for the client."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class RequestHead:
    """``length`` is None for a chunked body, 0 without a body. ``path`` is without the query."""

    method: str
    path: str
    query: str
    version: str
    headers: HeaderList
    host: str
    length: int | None
    websocket: bool

    @property
    def host_name(self) -> str:
        return self.host.rpartition(":")[0] if self.host[-1:].isdigit() and ":" in self.host else self.host

    @property
    def repeatable(self) -> bool:
        return self.method in WITHOUT_RESPONSE_LOSS and self.length == 0 and not self.websocket

    def values(self, name: str) -> list[str]:
        wanted = name.encode()
        return [value.decode("latin-1") for each, value in self.headers if each == wanted]


UNREADABLE = RequestHead("GET", "/", "", "1.1", (), "", 0, False)
"""In place of the head of what is no request."""


def read_head(method: str, target: bytes, version: str, headers: HeaderList, upgrade: bool) -> RequestHead:
    """``upgrade``: whether the parser takes what follows for another protocol. Raises BadRequest."""
    if version not in ("1.0", "1.1"):
        raise BadRequest(505, "only HTTP/1.0 and HTTP/1.1 are spoken here")
    if method in ("CONNECT", "TRACE"):
        raise BadRequest(405, f"{method} is not passed on")
    path, question, query = target.decode("latin-1").partition("?")
    _refuse_path(path, query)
    found = {name: value for name, value in headers if name in (b"content-length", b"expect", b"upgrade")}
    host = _host([value for name, value in headers if name == b"host"], version)
    length = _length(found.get(b"content-length"), [v for n, v in headers if n == b"transfer-encoding"], version)
    if upgrade and length != 0:
        raise BadRequest(400, "a request to upgrade must not have a body")
    if found.get(b"expect", b"100-continue").lower() != b"100-continue":
        raise BadRequest(417, "only 100-continue may be expected")
    websocket = upgrade and found[b"upgrade"].strip().lower() == b"websocket" and method == "GET"
    return RequestHead(method, path, question + query, version, headers, host, length, websocket)


def _refuse_path(path: str, query: str) -> None:
    """Threat: path confusion. What one server takes for ``/services/a/b/../c`` is ``/services/a/c`` to another."""
    if not path.startswith("/") or "#" in path + query:
        raise BadRequest(400, "the target must be a path, such as /services/default/shop/")
    decoded = unquote_to_bytes(path)
    if _DOTS.search(decoded) or b"\0" in decoded or b"\\" in decoded:
        raise BadRequest(400, "the path must not have the segments . or .., a backslash or a null byte")


def _host(values: Sequence[bytes], version: str) -> str:
    """Threat: one server reads the first of two hosts, another the last. RFC 9112, 3.2."""
    if not values and version == "1.0":
        return "localhost"
    if len(values) != 1 or not _HOST.fullmatch(host := values[0].decode("latin-1")):
        raise BadRequest(400, "there must be one Host header, with a name or address")
    return host


def _length(length: bytes | None, encodings: Sequence[bytes], version: str) -> int | None:
    """Threat: request smuggling through two framings, of which each server believes another."""
    if not encodings:
        return int(length or 0)
    if length is not None or version == "1.0" or [each.lower() for each in encodings] != [b"chunked"]:
        raise BadRequest(
            400, "a body has one length, or is chunked in version 1.1; other transfer encodings are not read"
        )
    return None


def upstream_head(head: RequestHead, path: str, prefix: str, client: str, scheme: str, token: bool) -> bytes:
    """The request as the replica gets it. ``token``: whether Authorization was for the proxy."""
    lines = [f"{head.method} {path}{head.query} HTTP/1.1\r\nHost: {head.host}".encode("latin-1")]
    lines += _passed_on(head.headers, (b"authorization",) if token else ())
    lines.append(
        f"x-forwarded-for: {client}\r\nx-forwarded-proto: {scheme}\r\nx-forwarded-host: {head.host}".encode("latin-1")
    )
    if prefix:
        lines.append(b"x-forwarded-prefix: " + prefix.encode())
    if head.length is None:
        lines.append(CHUNKED)
    elif head.length or head.method in ("POST", "PUT", "PATCH"):
        lines.append(b"content-length: %d" % head.length)
    lines.append(b"upgrade: websocket\r\nconnection: upgrade" if head.websocket else b"connection: close")
    return b"\r\n".join([*lines, b"\r\n"])


def response_head(status: int, headers: HeaderList, *own: bytes) -> bytes:
    """``own`` are lines of the proxy: framing, and whether the connection stays."""
    first = b"HTTP/1.1 %d %s" % (status, _PHRASES.get(status, b"Unknown"))
    return b"\r\n".join([first, *_passed_on(headers, ()), *own, b"\r\n"])


def response_framing(head: RequestHead, status: int, headers: HeaderList) -> bytes | None:
    """The line that tells where the body ends; empty without one, None if the connection's end does.

    Raises ValueError for a body in another transfer encoding than chunked.
    """
    encodings = [value.lower() for name, value in headers if name == b"transfer-encoding"]
    length = next((value for name, value in headers if name == b"content-length"), None)
    if encodings not in ([], [b"chunked"]):
        raise ValueError("a transfer encoding other than chunked")
    if length is not None and status != 204:
        return b"content-length: " + length
    if status in (204, 304) or head.method == "HEAD":
        return b""
    return CHUNKED if head.version == "1.1" else None


def _passed_on(headers: HeaderList, without: Sequence[bytes]) -> Iterable[bytes]:
    named = {name.strip().lower() for each, value in headers if each == b"connection" for name in value.split(b",")}
    for name, value in headers:
        same = name.replace(b"_", b"-") if b"_" in name else name  # to WSGI both are one
        if not (same in HOP_BY_HOP or same in OURS or name in named or same in without):
            yield name + b": " + value


_PHRASES = {status.value: status.phrase.encode() for status in HTTPStatus}
