"""The client for browsers, which web/device builds: a page imports it from its gateway."""

from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

BROWSER_CLIENT = "/v1/device/lykeion.js"
_FILES = StaticFiles(directory=Path(__file__).parent / "browser")


async def browser_client(request: Request) -> Response:
    answer = await _FILES.get_response("lykeion.mjs", request.scope)
    answer.headers["Cache-Control"] = "no-cache"  # asked for again by its ETag: it is of the gateway's version
    return answer
