"""A small app behind the guard, and servers of it on real sockets."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket
from uvicorn.config import HTTP_PROTOCOLS
from uvicorn.importer import import_from_string

from lykeion.web_kit import Guard, ServerSettings, answer_errors
from lykeion.web_kit.guard import outlives_timeout
from lykeion.web_kit.listening import listen, make_server

TOKEN = "correct-horse-battery"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
BLOCK = b"x" * 65_536


class Tiny:
    """``GET /``, ``POST /size``, ``GET /stream`` and ``/wall`` without end, ``GET /hang``, and a WebSocket that
    echoes. What each stream does is set by events, so that no test waits for a clock."""

    def __init__(self, settings: ServerSettings, **options: object) -> None:
        self.settings = settings
        self.ended = threading.Event()
        """A stream or a WebSocket has ended on the server's side."""
        routes = [
            Route("/", self.hello),
            Route("/size", self.size, methods=["POST"]),
            Route("/stream", self.stream),
            Mount("/wall", self.wall),
            Route("/hang", self.hang),
            Route("/hang-streaming", self.hang_streaming),
            WebSocketRoute("/echo", self.echo),
            WebSocketRoute("/hang", self.hang_websocket),
        ]
        self.app = Starlette(routes=routes)
        answer_errors(self.app)
        self.app.add_middleware(Guard, settings=settings, **options)

    async def hello(self, request: Request) -> Response:
        return PlainTextResponse(f"hello {request.client.host if request.client else ''}")

    async def size(self, request: Request) -> Response:
        return PlainTextResponse(str(len(await request.body())))

    async def stream(self, request: Request) -> Response:
        """One piece at once, one after three times the timeout."""
        outlives_timeout(request)

        async def pieces() -> AsyncIterator[bytes]:
            yield b"first "
            await asyncio.sleep(3 * self.settings.timeout_s)
            yield b"last"

        return StreamingResponse(pieces())

    async def wall(self, scope: Scope, receive: Receive, send: Send) -> None:
        outlives_timeout(Request(scope))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            while True:
                await send({"type": "http.response.body", "body": BLOCK, "more_body": True})
        finally:
            self.ended.set()

    async def hang(self, request: Request) -> Response:
        await asyncio.Event().wait()
        return Response()

    async def hang_streaming(self, request: Request) -> Response:
        outlives_timeout(request)
        return await self.hang(request)

    async def echo(self, websocket: WebSocket) -> None:
        try:
            await websocket.accept()
            async for text in websocket.iter_text():
                await websocket.send_text(text)
        finally:
            self.ended.set()

    async def hang_websocket(self, websocket: WebSocket) -> None:
        await asyncio.Event().wait()


@contextmanager
def serving(app: Starlette, settings: ServerSettings, *, http: str = "h11") -> Iterator[tuple[int, uvicorn.Server]]:
    """An app served by uvicorn, with one parser of HTTP or the other, and the port."""
    with listen(settings, "127.0.0.1", 0) as listener:
        server = make_server(app, settings, import_from_string(HTTP_PROTOCOLS[http]))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield listener.getsockname()[1], server
        finally:
            server.should_exit = server.force_exit = True
            thread.join()


def exchange(port: int, request: bytes) -> bytes:
    """What the server answers to these bytes until it closes the connection."""
    with socket.create_connection(("127.0.0.1", port), 30) as connection:
        connection.sendall(request)
        answer = b""
        while piece := connection.recv(65_536):
            answer += piece
    return answer
