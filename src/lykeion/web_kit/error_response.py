"""An error as JSON: ``{"error": "one line"}``; imported without FastAPI, which takes half a second."""

from collections.abc import Mapping

from starlette.responses import JSONResponse

RETRY_AFTER_S = 1


def error_response(status: int, message: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    added = {"Retry-After": str(RETRY_AFTER_S)} if status in (429, 503) else {}
    return JSONResponse({"error": " ".join(message.split())}, status, {**added, **(headers or {})})
