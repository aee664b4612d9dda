"""A service to stand behind the proxy, and clients that ask it: each in a process of its own.

python -m measuring.proxy_job serve PORT MILLISECONDS
python -m measuring.proxy_job ask PORT PATH CLIENTS SECONDS
"""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn
from httptools import HttpResponseParser


def serve(port: int, milliseconds: float) -> None:
    """Answers each request with a line after so much time, in which it does nothing."""

    async def app(scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:
        await asyncio.sleep(milliseconds / 1000)
        headers = [(b"content-type", b"text/plain"), (b"content-length", b"3")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"ok\n"})

    uvicorn.run(app, port=port, log_level="warning", access_log=False, lifespan="off")


class Asking(asyncio.Protocol):
    """Sends a request, and the next as soon as it is answered, until ``end``. ``seconds`` are how long each took."""

    def __init__(self, request: bytes, end: float) -> None:
        self._request, self._end = request, end
        self._parser = HttpResponseParser(self)
        self.seconds: list[float] = []
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        now = time.perf_counter()
        if self._parser.get_status_code() != 200:
            raise RuntimeError(f"status {self._parser.get_status_code()}")
        self.seconds.append(now - self._began)
        if now < self._end:
            self._ask()
        else:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.done.set_result(None)

    def _ask(self) -> None:
        self._began = time.perf_counter()
        self._transport.write(self._request)


async def ask(port: int, path: str, clients: int, seconds: float) -> dict[str, float]:
    """Requests a second, and percentiles in milliseconds."""
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
    loop, end = asyncio.get_running_loop(), time.perf_counter() + seconds
    made = [
        (await loop.create_connection(lambda: Asking(request, end), "127.0.0.1", port))[1] for _ in range(clients)
    ]
    await asyncio.gather(*(each.done for each in made))
    took = sorted(1000 * each for one in made for each in one.seconds)
    return {"rate": len(took) / seconds, "p50": took[len(took) // 2], "p99": took[int(len(took) * 0.99)]}


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(int(sys.argv[2]), float(sys.argv[3]))
    else:
        print(json.dumps(asyncio.run(ask(int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), float(sys.argv[5])))))
