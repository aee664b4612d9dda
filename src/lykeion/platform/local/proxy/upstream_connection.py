"""The connection to a replica for one request: parses the response, and passes it on as it comes."""

import asyncio
from typing import Protocol

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from .http_heads import HeaderList, RequestHead, response_head

LIMIT_HEAD_BYTES = 1 << 16


class ResponseTaker(Protocol):
    """The exchange whose response is read here."""

    head: RequestHead
    tunnelling: bool

    def connected(self, by: asyncio.Protocol) -> None: ...
    def write(self, data: bytes) -> None: ...
    def regulate(self) -> None: ...
    def respond(self, status: int, headers: HeaderList) -> tuple[bytes, bool]: ...
    def switch(self, headers: HeaderList, first: bytes) -> None: ...
    def done(self) -> None: ...
    def lost(self, by: asyncio.Protocol) -> None: ...
    def fail(self, status: int, message: str) -> None: ...


class UpstreamConnection(asyncio.Protocol):
    def __init__(self, exchange: ResponseTaker) -> None:
        self._exchange = exchange
        self.transport: asyncio.Transport | None = None
        self.is_full = False
        self._parser = HttpResponseParser(self)
        self._headers: list[tuple[bytes, bytes]] = []
        self._size = self._unseen = 0
        self._in_body = self._chunked = self._until_close = self._done = False
        self._out: list[bytes] = []

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport
        self._exchange.connected(self)

    def data_received(self, data: bytes) -> None:
        if self._exchange.tunnelling:
            self._exchange.write(data)
            return
        try:
            self._parse(data)
        except (HttpParserError, ValueError) as error:
            if not self._done:
                self._exchange.fail(502, f"the replica's response is malformed: {error.__context__ or error}")
                return
        self._flush()

    def _parse(self, data: bytes) -> None:
        self._unseen += len(data)
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade as upgrade:
            self._exchange.switch(self._headers, data[upgrade.args[0] :])
        if self._unseen > LIMIT_HEAD_BYTES:
            raise ValueError(f"a head or chunk of more than {LIMIT_HEAD_BYTES >> 10} KiB")

    def _flush(self) -> None:
        if self._out:
            self._exchange.write(b"".join(self._out))
            self._out.clear()
        if self._done:
            self._exchange.done()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._until_close and exc is None and not self._done:
            self._finish()
            self._flush()
        elif not self._done:
            self._exchange.lost(self)

    def pause_writing(self) -> None:
        self.is_full = True
        self._exchange.regulate()

    def resume_writing(self) -> None:
        self.is_full = False
        self._exchange.regulate()

    def on_message_begin(self) -> None:
        self._headers, self._size = [], 0

    def on_header(self, name: bytes, value: bytes) -> None:
        self._unseen = 0
        self._size += len(name) + len(value)
        if self._size > LIMIT_HEAD_BYTES:
            raise ValueError(f"headers of more than {LIMIT_HEAD_BYTES >> 10} KiB")
        if not self._in_body:  # trailers are not passed on
            self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if self._done or status == 101:
            return
        if status < 200:  # 100 or 103: another follows
            self._out += [response_head(status, self._headers)] if self._exchange.head.version == "1.1" else []
            return
        self._in_body = True
        head, self._chunked = self._exchange.respond(status, self._headers)
        self._out.append(head)
        names = {name for name, _ in self._headers}
        self._until_close = not names & {b"content-length", b"transfer-encoding"}
        if self._exchange.head.method == "HEAD":
            self._done = True

    def on_body(self, data: bytes) -> None:
        self._unseen = 0
        if not self._done:
            self._out += [b"%x\r\n" % len(data), data, b"\r\n"] if self._chunked else [data]

    def on_message_complete(self) -> None:
        if self._in_body and not self._done:
            self._finish()

    def _finish(self) -> None:
        self._done = True
        self._out += [b"0\r\n\r\n"] if self._chunked else []
