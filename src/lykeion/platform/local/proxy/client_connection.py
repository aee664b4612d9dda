"""The connection of a client: parses its requests, and has each answered before the next.

A client that sends the next request before the response to the last gets no response to it: the connection is closed
after the first (RFC 9112, 9.3.2 lets it send the request again).
"""

import asyncio

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from .exchange import Exchange
from .forwarder import Forwarder
from .http_heads import UNREADABLE, BadRequest, read_head
from .listeners import Listener

LIMIT_HEAD_BYTES = 1 << 16
LIMIT_TARGET_BYTES = 1 << 13
LIMIT_HEADERS = 100
HEAD_S = 10.0
IDLE_S = 75.0
LINGER_S = 2.0
"""After a response before the end of its request: a client that still sends would lose it to a reset."""


class ClientConnection(asyncio.Protocol):
    """``connections`` are those of the proxy: this one is in it while it is open."""

    def __init__(self, forwarder: Forwarder, listener: Listener, connections: set["ClientConnection"]) -> None:
        self.forwarder, self.listener, self._connections = forwarder, listener, connections
        self.now = asyncio.get_running_loop().time
        self.deadline: float | None = None
        self.exchange: Exchange | None = None
        self.is_full = False
        """Whether the client takes no more of the response for now."""
        self._parser = HttpRequestParser(self)
        self._deaf = False
        """Whether nothing more is read as HTTP."""
        self._unseen = 0
        """Bytes since the parser last made something of them."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport
        self.address = (transport.get_extra_info("peername") or [""])[0]
        self.on_message_begin()
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)
        if self.exchange:
            self.exchange.drop()

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            if self.exchange and self.exchange.head.websocket:
                self.exchange.take_raw(data)
            return
        try:
            self._parse(data)
        except HttpParserError as error:
            refused = error.__context__
            self._refuse(refused if isinstance(refused, BadRequest) else BadRequest(400, f"malformed: {error}"))
        except BadRequest as refused:
            self._refuse(refused)

    def _parse(self, data: bytes) -> None:
        self._unseen += len(data)
        while data:
            try:
                self._parser.feed_data(data)
                break
            except HttpParserUpgrade as upgrade:
                data = data[upgrade.args[0] :]
                if self.exchange and self.exchange.head.websocket:
                    self._deaf = True
                    return self.exchange.take_raw(data)
        if self._unseen > LIMIT_HEAD_BYTES:
            raise BadRequest(431, f"a header or chunk is longer than {LIMIT_HEAD_BYTES >> 10} KiB")

    def _refuse(self, refused: BadRequest) -> None:
        if not self._deaf:
            self._deaf = True
            self.exchange = self.exchange or Exchange(self, UNREADABLE, False)
            self.exchange.refuse(refused)

    def late(self) -> None:
        """The deadline is over."""
        if self.exchange:
            self.exchange.late()
        elif self._deaf:
            self.transport.abort()
        elif self._in_head and self._size:
            self._refuse(BadRequest(408, f"no complete head came within {HEAD_S:g} s"))
        else:
            self.transport.close()

    def write(self, data: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(data)

    def read(self, more: bool) -> None:
        """Read from the client only while there is room for what it sends."""
        (self.transport.resume_reading if more else self.transport.pause_reading)()

    def pause_writing(self) -> None:
        self._hold(True)

    def resume_writing(self) -> None:
        self._hold(False)

    def _hold(self, full: bool) -> None:
        self.is_full = full
        if self.exchange:
            self.exchange.hold(full)

    def finished(self, keeps: bool, whole: bool) -> None:
        """The exchange has ended; ``whole`` if all of its request was read."""
        self.exchange = None
        self.read(True)
        if keeps and not self._deaf and not self.forwarder.stopping:
            self.deadline = self.now() + (HEAD_S if self._in_head else IDLE_S)
            return
        self._deaf = True
        if whole or self.transport.is_closing() or not self.transport.can_write_eof():
            self.transport.close()
        else:
            self.transport.write_eof()
            self.deadline = self.now() + LINGER_S

    def on_message_begin(self) -> None:
        if self.exchange or self._deaf:
            self._deaf = True
            raise BadRequest(400, "a request before the response to the last")
        self._target, self._size, self._in_head = b"", 0, True
        self._headers: list[tuple[bytes, bytes]] = []
        self.deadline = self.now() + HEAD_S

    def on_url(self, part: bytes) -> None:
        self._target += part
        self._size += len(part)
        if self._size > LIMIT_TARGET_BYTES:
            raise BadRequest(414, f"the target is longer than {LIMIT_TARGET_BYTES >> 10} KiB")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._unseen = 0
        self._size += len(name) + len(value)
        if self._size > LIMIT_HEAD_BYTES or len(self._headers) >= LIMIT_HEADERS:
            limits = f"{LIMIT_HEADERS} headers, or {LIMIT_HEAD_BYTES >> 10} KiB of them"
            raise BadRequest(431, f"there are more than {limits}")
        if self._in_head:  # trailers are not passed on
            self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self._in_head, self._unseen, parser = False, 0, self._parser
        method, version, upgrade = parser.get_method(), parser.get_http_version(), parser.should_upgrade()
        head = read_head(method.decode(), self._target, version, self._headers, upgrade)
        self.exchange = Exchange(self, head, parser.should_keep_alive())
        self.exchange.start()

    def on_body(self, data: bytes) -> None:
        self._unseen = 0
        if self.exchange:
            self.exchange.take(data)

    def on_message_complete(self) -> None:
        self._unseen = 0
        if self.exchange:
            self.exchange.take_end()
