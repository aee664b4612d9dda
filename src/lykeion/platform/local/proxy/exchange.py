"""One request and its response: sent to a replica, and to another only if the first cannot have acted on it."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from .forwarder import Forwarder
from .http_heads import CHUNKED, BadRequest, HeaderList, RequestHead, response_framing, response_head, upstream_head
from .listeners import Listener
from .proxy_metrics import GroupMeter
from .replica_choice import Target
from .upstream_connection import UpstreamConnection

CONNECT_S = 5.0
STALL_S = 60.0
"""How long a client may send or take nothing."""
RESPONSE_S = 300.0
"""How long a replica may send or take nothing."""
TRIES = 3
LIMIT_HELD_BYTES = 1 << 16
"""Of a body that waits for the connection to its replica."""
CLIENT_GONE = 499
"""In the log, for a request whose client did not wait for the response."""


class RequestClient(Protocol):
    """What an exchange needs of the connection that the request came by."""

    forwarder: Forwarder
    listener: Listener
    transport: asyncio.Transport
    address: str
    now: Callable[[], float]
    deadline: float | None
    is_full: bool

    def write(self, data: bytes) -> None: ...
    def read(self, more: bool) -> None: ...
    def finished(self, keeps: bool, whole: bool) -> None: ...


class Exchange:
    """``client`` calls ``start``, then ``take`` with each part of the body, and ``take_end``."""

    def __init__(self, client: RequestClient, head: RequestHead, keeps: bool) -> None:
        self.client, self.head = client, head
        self.keeps = keeps and not head.websocket
        """Whether the client's connection stays open afterwards."""
        self.tunnelling = self._answered = self._ended = False
        self._complete = head.length == 0
        self._status = self._unsent = 0
        self._began = client.now()
        self._held: list[bytes] = []
        self._tried: list[Target] = []
        self._upstream: UpstreamConnection | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._meter: GroupMeter | None = None

    @property
    def is_full(self) -> bool:
        """Whether the client should send no more for now."""
        if self._upstream and self._upstream.transport:
            return self._upstream.is_full or (self.head.websocket and not self.tunnelling)
        return self.head.websocket or sum(map(len, self._held)) > LIMIT_HELD_BYTES

    def start(self) -> None:
        try:
            admitted = self.client.forwarder.admit(self.head, self.client.listener)
        except BadRequest as refused:
            return self.refuse(refused)
        if isinstance(admitted, bytes):
            self.answer(200, admitted)
        else:
            self._service, self._prefix, self._path = admitted
            self._try()

    def take(self, data: bytes) -> None:
        self._held.append(b"%x\r\n%b\r\n" % (len(data), data) if self.head.length is None else data)
        self._pass_on()

    def take_end(self) -> None:
        self._complete = True
        if self.head.length is None:
            self._held.append(b"0\r\n\r\n")
        self._pass_on()

    def take_raw(self, data: bytes) -> None:
        """What follows a request to upgrade."""
        self._held.append(data)
        if self.tunnelling:
            self._pass_on()

    def hold(self, full: bool) -> None:
        """The client takes no more of the response for now, or does again."""
        if self._upstream and (transport := self._upstream.transport):
            (transport.pause_reading if full else transport.resume_reading)()
        self.wait()

    def refuse(self, refused: BadRequest) -> None:
        """The rest of the request cannot be read."""
        if self._answered:
            self.drop()
            self.client.transport.abort()
        else:
            self.answer(refused.status, f"{refused}\n".encode())

    def drop(self) -> None:
        """The client does not wait for the response."""
        self._end(self._status or CLIENT_GONE)

    def late(self) -> None:
        """Nothing has come for as long as ``wait`` allows."""
        unsent = self.client.transport.get_write_buffer_size()
        if unsent and unsent < self._unsent:  # it takes a little
            self.wait()
        elif self.client.is_full:
            self.drop()
            self.client.transport.abort()
        elif self._complete or self.is_full:
            self.fail(504, f"the replica did nothing for {RESPONSE_S:g} s")
        else:
            self.refuse(BadRequest(408, f"nothing of the body came for {STALL_S:g} s"))

    def wait(self) -> None:
        """Something has come: from now on counts the time in which more has to."""
        for_replica = (self._complete or self.is_full) and not self.client.is_full
        limit_s = RESPONSE_S if for_replica else STALL_S
        self._unsent = self.client.transport.get_write_buffer_size()
        self.client.deadline = None if self.tunnelling else self.client.now() + limit_s

    def connected(self, by: asyncio.Protocol) -> None:
        """Send the head, and what there is of the body."""
        if by is not self._upstream:
            return
        listener = self.client.listener
        self._held.insert(
            0,
            upstream_head(
                self.head, self._path, self._prefix, self.client.address, listener.scheme, bool(listener.token)
            ),
        )
        self._pass_on()

    def respond(self, status: int, headers: HeaderList) -> tuple[bytes, bool]:
        """The head of the response, and whether its body is to be sent in chunks. Raises ValueError."""
        framing = response_framing(self.head, status, headers)
        self.keeps &= self._complete and framing is not None
        stays = b"keep-alive" if self.head.version == "1.0" else b""
        connection = stays if self.keeps else b"close"
        lines = [framing or b"", b"connection: " + connection if connection else b""]
        self._answered, self._status = True, status
        return response_head(status, headers, *filter(None, lines)), framing == CHUNKED

    def write(self, data: bytes) -> None:
        """Send a part of the response."""
        self.wait()
        self.client.write(data)

    def switch(self, headers: HeaderList, first: bytes) -> None:
        """The replica speaks WebSocket from now on, and so does the client. Raises ValueError if it did not ask."""
        if not self.head.websocket:
            raise ValueError("101 without a request to upgrade")
        self.client.write(response_head(101, headers, b"upgrade: websocket\r\nconnection: upgrade") + first)
        self._answered, self.tunnelling, self._status = True, True, 101
        self._pass_on()

    def done(self) -> None:
        """The response is complete."""
        self._end(self._status, failed=self._status >= 500)
        self.client.finished(self.keeps, self._complete)

    def lost(self, by: asyncio.Protocol) -> None:
        """The replica has closed the connection before its response was complete."""
        if by is not self._upstream:
            return
        if self.tunnelling:
            self.done()
        elif self.head.repeatable and not self._answered:
            self._leave(failed=True)
            self._try()
        else:
            self.fail(502, "the replica closed the connection without a response")

    def fail(self, status: int, message: str) -> None:
        """The replica does not answer as it should."""
        answered = self._answered
        self._leave(failed=True)
        if answered:  # a client must not take half a response for a whole one
            self._end(status)
            self.client.transport.abort()
        else:
            self.answer(status, f"{message}\n".encode())

    def answer(self, status: int, body: bytes) -> None:
        """A response of the proxy's own; the client's connection ends with it."""
        lines = [b"content-type: text/plain; charset=utf-8", b"content-length: %d" % len(body), b"connection: close"]
        lines += [b"www-authenticate: Bearer"] if status == 401 else []
        head = response_head(status, (), *lines)
        self.client.write(head if self.head.method == "HEAD" else head + body)
        self.keeps = False
        self._end(status)
        self.client.finished(self.keeps, self._complete)

    def _try(self) -> None:
        choice = self.client.forwarder.choice
        target = choice.choose(self._service, self._tried) if len(self._tried) < TRIES else None
        if target is None:
            message = "can be reached" if self._tried else "is ready"
            name = f"{self._service.service}.{self._service.namespace}"
            self.answer(502 if self._tried else 503, f"no replica of {name} {message}\n".encode())
            return
        self._tried.append(target)
        self._meter = self.client.forwarder.metrics.meter(self._service, target.group)
        self._meter.begin()
        choice.enter(target)
        self._upstream = UpstreamConnection(self)
        self._connecting = asyncio.create_task(self._connect(target.port, self._upstream))

    async def _connect(self, port: int, upstream: UpstreamConnection) -> None:
        try:
            async with asyncio.timeout(CONNECT_S):
                await asyncio.get_running_loop().create_connection(lambda: upstream, "127.0.0.1", port)
        except (OSError, TimeoutError):
            self._leave(failed=True)
            self._try()

    def _pass_on(self) -> None:
        self.wait()
        if self._held and self._upstream and self._upstream.transport:
            held = self._held if self.tunnelling or not self.head.websocket else self._held[:1]
            self._upstream.transport.write(b"".join(held))
            del self._held[: len(held)]
        self.regulate()

    def regulate(self) -> None:
        """Read from the client only while there is room for what it sends."""
        self.client.read(not self.is_full)

    def _leave(self, failed: bool) -> None:
        """The try has ended."""
        if self._upstream and (transport := self._upstream.transport):
            (transport.close if self.tunnelling else transport.abort)()
        elif self._connecting and self._connecting is not asyncio.current_task():
            self._connecting.cancel()
        if self._meter:
            self._meter.end(failed, None if self.tunnelling else self.client.now() - self._began)
            self.client.forwarder.choice.leave(self._tried[-1])
        self._meter = self._upstream = self._connecting = None

    def _end(self, status: int, failed: bool = False) -> None:
        self._leave(failed)
        if not self._ended and self._tried:
            seconds = self.client.now() - self._began
            log = self.client.forwarder.log
            log(self.client.address, self.head, self._service, self._tried, status, seconds)
        self._ended = True
