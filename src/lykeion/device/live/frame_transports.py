"""How frames travel from a device: over a WebSocket, or by long polling where those are blocked."""

import struct
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from lykeion.core import Refused, first_line
from lykeion.device.conversation import MAX_QUERY_BYTES, PROTOCOL
from lykeion.device.errors import UpdateUnavailable
from lykeion.device.fetching.file_source import Later, retry_after_s

if TYPE_CHECKING:
    import urllib3

CONVERSATION, POLL = "/v1/device/conversation", "/v1/device/poll"
CONNECTION = "Lykeion-Connection"
_OPEN_S, _POLL_S = 20.0, 60.0
_LENGTH = struct.Struct(">I")


class ConnectionRefused(Refused):
    """The gateway does not take the credential."""


class NoWebSocket(UpdateUnavailable):
    """The address answers, but not as a WebSocket of a gateway."""


class FrameTransport(Protocol):
    """Raises UpdateUnavailable when the connection has ended."""

    def send(self, data: bytes) -> None: ...

    def receive(self, wait_s: float) -> bytes | None:
        """A frame, or None if none came in time."""
        ...

    def close(self) -> None: ...


class WebSocketTransport:
    """At ``address``, an http or https URL. Raises ConnectionRefused, Later, NoWebSocket, UpdateUnavailable."""

    def __init__(self, address: str, token: str) -> None:
        from websockets.exceptions import InvalidHandshake, InvalidStatus
        from websockets.sync.client import connect

        self._url = "ws" + address.rstrip("/").removeprefix("http") + CONVERSATION
        try:
            opening: Any = connect(
                self._url,
                subprotocols=[PROTOCOL],  # type: ignore[list-item]
                additional_headers={"Authorization": f"Bearer {token}"},
                compression=None,
                open_timeout=_OPEN_S,
                max_size=MAX_QUERY_BYTES,
            )
            self._socket = opening.__enter__()
        except InvalidStatus as refused:
            raise _refusal(self._url, refused.response.status_code, refused.response.headers) from None
        except InvalidHandshake as error:
            raise NoWebSocket(f"{self._url}: {first_line(error)}") from None
        except (OSError, EOFError) as error:
            raise UpdateUnavailable(f"{self._url}: {first_line(error)}") from None

    def send(self, data: bytes) -> None:
        from websockets.exceptions import ConnectionClosed

        try:
            self._socket.send(data)
        except ConnectionClosed as closed:
            raise UpdateUnavailable(f"{self._url}: {first_line(closed)}") from None

    def receive(self, wait_s: float) -> bytes | None:
        from websockets.exceptions import ConnectionClosed

        try:
            data = self._socket.recv(timeout=wait_s)
        except TimeoutError:
            return None
        except ConnectionClosed as closed:
            raise UpdateUnavailable(f"{self._url}: {first_line(closed)}") from None
        return data if isinstance(data, bytes) else data.encode()

    def close(self) -> None:
        self._socket.close()


class PollTransport:
    """The same by requests, each of which brings frames and takes frames."""

    def __init__(self, address: str, token: str, pool: "urllib3.PoolManager | None" = None) -> None:
        self._url, self._token, self._pool = address.rstrip("/") + POLL, token, pool
        self._out: list[bytes] = []
        self._in: deque[bytes] = deque()
        self._connection = ""

    def send(self, data: bytes) -> None:
        self._out.append(data)

    def receive(self, wait_s: float) -> bytes | None:
        """Waits as long as the gateway has nothing to say, if nothing is to be sent."""
        if not self._in:
            self._exchange()
        return self._in.popleft() if self._in else None

    def close(self) -> None:
        with suppress(UpdateUnavailable, ConnectionRefused):
            if self._out:
                self._exchange()

    def _exchange(self) -> None:
        import urllib3

        self._pool = self._pool or urllib3.PoolManager(retries=False)
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/octet-stream"}
        headers |= {CONNECTION: self._connection} if self._connection else {}
        body, self._out = write_frames(self._out), []
        try:
            answer = self._pool.request(
                "POST", self._url, body=body, headers=headers, timeout=_POLL_S, redirect=False
            )
        except urllib3.exceptions.HTTPError as error:
            raise UpdateUnavailable(f"{self._url}: {first_line(error)}") from None
        if answer.status != 200:
            raise _refusal(self._url, answer.status, answer.headers)
        self._connection = answer.headers.get(CONNECTION, "")
        self._in.extend(read_frames(answer.data))
        if not self._connection and not self._in:
            raise UpdateUnavailable(f"{self._url}: the gateway has ended the connection")


def write_frames(frames: list[bytes]) -> bytes:
    return b"".join(_LENGTH.pack(len(frame)) + frame for frame in frames)


def read_frames(data: bytes) -> list[bytes]:
    """Raises UpdateUnavailable for what is cut off."""
    frames, place = list[bytes](), 0
    while place < len(data):
        end = place + 4 + (_LENGTH.unpack_from(data, place)[0] if place + 4 <= len(data) else len(data))
        if end > len(data):
            raise UpdateUnavailable("frames that are cut off")
        frames.append(data[place + 4 : end])
        place = end
    return frames


def _refusal(url: str, status: int, headers: Any) -> Exception:
    if status in (429, 503):
        return Later(url, retry_after_s(headers.get("Retry-After", "")))
    if status == 401:
        return ConnectionRefused(f"{url}: the gateway does not take this device's credential")
    return NoWebSocket(f"{url}: the server answers {status}")
