"""An API on a socket that only its user may use."""

import asyncio
import os
import socket
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from .socket_place import SocketError


@asynccontextmanager
async def serving(api: Starlette, path: Path) -> AsyncGenerator[None]:
    """Answer requests on a socket that only this user may use. Raises SocketError."""
    config = uvicorn.Config(api, log_level="warning", access_log=False, lifespan="off", timeout_graceful_shutdown=1)
    server = _Server(config)
    with _listening(path) as listener:
        task = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield
        finally:
            server.should_exit = True
            await asyncio.wait([task], timeout=5)
            task.cancel()
            path.unlink(missing_ok=True)


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """The process has its own signal handlers."""
        yield


def _listening(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    try:
        path.unlink(missing_ok=True)  # left by a server that was killed: we hold its lock
        before = os.umask(0o177)
        try:
            listener.bind(str(path))
        finally:
            os.umask(before)
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise SocketError(f"{path}: cannot listen ({error.strerror})") from None
    return listener
