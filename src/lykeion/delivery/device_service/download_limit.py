"""Files of the repository for devices, and how many of them may be on their way at a time."""

import random
from pathlib import Path

from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from lykeion.web_kit import outlives_timeout

MAX_DOWNLOADS = 64
WAIT_S = 20
"""On average, until a device that was turned away asks again; drawn, so that they do not come back together."""


class DownloadLimit:
    """ASGI middleware that answers 503 with Retry-After while ``most`` requests are in progress."""

    def __init__(self, app: ASGIApp, most: int = MAX_DOWNLOADS) -> None:
        self._app, self._most, self._under_way = app, most, 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._under_way >= self._most:
            wait_s = random.randint(WAIT_S // 2, 3 * WAIT_S // 2)  # noqa: S311 - a pause, not a secret
            refusal = PlainTextResponse("too many downloads\n", 503, {"Retry-After": str(wait_s)})
            await refusal(scope, receive, send)
            return
        outlives_timeout(HTTPConnection(scope))
        self._under_way += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._under_way -= 1


def repository_files(directory: Path) -> ASGIApp:
    """Static files, whole or in part (RFC 9110, 14.2). Links are not followed."""
    return StaticFiles(directory=directory, follow_symlink=False)
