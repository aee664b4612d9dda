"""An HTTP server of files in memory, with ranges, that can be made to misbehave."""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import unquote

from lykeion.core import LykeionError


@dataclass
class FileServer:
    """``stop_after`` is how many bytes of an answer's body it sends before it closes the connection; ``behaviour``
    answers in place of it if it returns true."""

    files: dict[str, bytes] = field(default_factory=dict)
    stop_after: int | None = None
    ranges: bool = True
    behaviour: Callable[[BaseHTTPRequestHandler], bool] = lambda handler: False
    posts: Callable[[str, bytes, str], object] = lambda path, body, token: None
    """The JSON value that answers a POST; a LykeionError answers 401."""
    requests: list[tuple[str, str | None]] = field(default_factory=list)

    def __enter__(self) -> "FileServer":
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                token = self.headers.get("Authorization", "").removeprefix("Bearer ")
                status = 200
                try:
                    answer = json.dumps(server.posts(self.path, body, token)).encode()
                except LykeionError as error:
                    status, answer = 401, str(error).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def do_GET(self) -> None:
                server.requests.append((self.path, self.headers["Range"]))
                if server.behaviour(self):
                    return
                content = server.files.get(unquote(self.path.removeprefix("/")))
                if content is None:
                    self.send_error(404)
                    return
                begin = 0
                if (asked := self.headers["Range"]) and server.ranges:
                    begin = int(asked.removeprefix("bytes=").removesuffix("-"))
                    self.send_response(206)
                    self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
                else:
                    self.send_response(200)
                self.send_header("Content-Length", str(len(content) - begin))
                self.end_headers()
                self.wfile.write(content[begin:][: server.stop_after])
                if server.stop_after is not None:
                    self.close_connection = True

        return Handler


def answering(status: int, headers: dict[str, str] | None = None) -> Callable[[BaseHTTPRequestHandler], bool]:
    def answer(handler: BaseHTTPRequestHandler) -> bool:
        handler.send_response(status)
        for name, value in {"Content-Length": "0", **(headers or {})}.items():
            handler.send_header(name, value)
        handler.end_headers()
        return True

    return answer


def endless(handler: BaseHTTPRequestHandler) -> bool:
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    block = b"10000\r\n" + bytes(0x10000) + b"\r\n"
    try:
        while True:
            handler.wfile.write(block)
    except OSError:
        handler.close_connection = True
    return True


def dripping(handler: BaseHTTPRequestHandler) -> bool:
    handler.send_response(200)
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    try:
        while True:
            handler.wfile.write(b"x")
            time.sleep(0.001)
    except OSError:
        handler.close_connection = True
    return True
