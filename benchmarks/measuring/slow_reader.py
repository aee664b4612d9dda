"""A device that says hello, and then reads one byte a second."""

import secrets
import socket
import struct
import threading
from types import TracebackType

from lykeion.device.conversation import HelloFrame, write_frame


class SlowReader:
    """While the ``with`` block lasts; nothing without a ``credential``. ``taken`` bytes were read."""

    def __init__(self, port: int, credential: str) -> None:
        self._port, self._credential, self.taken = port, credential, 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._read)

    def __enter__(self) -> "SlowReader":
        if self._credential:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        if self._credential:
            self._thread.join()

    def _read(self) -> None:
        with socket.socket() as made:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            made.connect(("127.0.0.1", self._port))
            made.sendall(
                f"GET /v1/device/conversation HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\nUpgrade: websocket\r\n"
                "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: lykeion.v1\r\n"
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                f"Authorization: Bearer {self._credential}\r\n\r\n".encode()
            )
            answer = b""
            while b"\r\n\r\n" not in answer:
                answer += made.recv(1)
            hello = write_frame(HelloFrame(secrets.token_bytes(16), 0, 0, 1, 1, 64, {"all": 0}))
            mask = secrets.token_bytes(4)
            masked = bytes(each ^ mask[place % 4] for place, each in enumerate(hello))
            made.sendall(struct.pack(">BB", 0x82, 0x80 | len(hello)) + mask + masked)
            made.settimeout(1)
            while not self._ended.wait(1):
                try:
                    self.taken += len(made.recv(1))
                except TimeoutError:
                    continue
