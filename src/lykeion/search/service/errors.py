"""Every failure as JSON: ``{"error": "one line"}`` with a fitting status."""

import logging
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from lykeion.core import LykeionError
from lykeion.search.index import (
    CorruptIndex,
    EmbedderMismatch,
    IndexFormatError,
    IndexLocked,
    NotFound,
    StorageError,
)
from lykeion.search.index.milvus.client import MilvusError
from lykeion.search.thumbnails import ThumbnailError

from .workers import Busy

RETRY_AFTER_S = 1
UNAVAILABLE = (
    Busy,
    CorruptIndex,
    EmbedderMismatch,
    IndexFormatError,
    IndexLocked,
    MilvusError,
    StorageError,
    ThumbnailError,
)
log = logging.getLogger("lykeion.service")


class ErrorAnswer(BaseModel):
    """What every refused or failed request is answered with."""

    error: str = Field(description="One line: what was wrong, where, and what to do.")


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI description of these failures and of those that any request may meet."""
    return {status: {"model": ErrorAnswer, "description": MEANING[status]} for status in sorted({*statuses, *ALWAYS})}


ALWAYS = (400, 401, 403, 413, 422, 429, 503)
MEANING = {
    400: "The body cannot be read.",
    401: "The API token is missing or wrong.",
    403: "The Host or Origin header names another site.",
    404: "There is no such product.",
    413: "The body is larger than the service takes.",
    422: "The request cannot be carried out; the error says why.",
    429: "Too many requests of this client are under way.",
    503: "Busy, out of time, or not able to serve now; the error says why, Retry-After when to ask again.",
}


def error_response(status: int, message: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    added = {"Retry-After": str(RETRY_AFTER_S)} if status in (429, 503) else {}
    return JSONResponse({"error": " ".join(message.split())}, status, {**added, **(headers or {})})


def answer_errors(app: FastAPI) -> None:
    """Make the app answer every exception with ``error_response``."""

    @app.exception_handler(LykeionError)
    async def known(_: Request, error: LykeionError) -> JSONResponse:
        if isinstance(error, UNAVAILABLE):
            return error_response(503, str(error))
        return error_response(404 if isinstance(error, NotFound) else 422, str(error))

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        return error_response(422, f"{place}: {first['msg']}")

    @app.exception_handler(HTTPException)
    async def refused(_: Request, error: HTTPException) -> JSONResponse:
        return error_response(error.status_code, error.detail, error.headers)

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> JSONResponse:
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return error_response(500, "an error inside the service; its log says more")
