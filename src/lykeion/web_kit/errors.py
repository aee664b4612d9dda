"""Every failure as JSON: ``{"error": "one line"}``, with the status of the error's family."""

import logging
from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse

from lykeion.core import LykeionError

from .error_families import status_of
from .error_response import error_response

log = logging.getLogger("lykeion.web_kit")


class ErrorAnswer(BaseModel):
    """The body of every error response."""

    error: str = Field(description="One line: what was wrong, where, and what to do.")


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI description of these errors and of those that any request may cause.

    One of them brings the model, and the others refer to it: FastAPI takes long to make a field of each.
    """
    others = {*statuses, *ALWAYS} - {500}
    return {
        **{status: {"description": MEANING[status], "content": _REFERENCE} for status in sorted(others)},
        500: {"description": MEANING[500], "model": ErrorAnswer},
    }


_REFERENCE = {"application/json": {"schema": {"$ref": f"#/components/schemas/{ErrorAnswer.__name__}"}}}


ALWAYS = (400, 401, 403, 413, 422, 429, 500, 503)
MEANING = {
    400: "The request cannot be processed; the error says why.",
    401: "The API token is missing or wrong.",
    403: "The Host or Origin header names another site, or the caller lacks permission.",
    404: "Nothing of that name exists.",
    409: "Something is in another state than the request expects; nothing was changed.",
    413: "The body is larger than the service accepts.",
    422: "The request does not have the shape that is described here.",
    429: "Too many requests from this client are in progress.",
    500: "Internal error.",
    501: "This service does not support the operation.",
    503: "Busy, timed out or temporarily unavailable; the error says why, Retry-After when to try again.",
}


def answer_errors(app: Starlette) -> None:
    """Make the app answer every exception with ``error_response``."""
    for kind in (LykeionError, RequestValidationError, HTTPException, ClientDisconnect, Exception):
        app.add_exception_handler(kind, _answer)


async def _answer(request: Request, error: Exception) -> JSONResponse:
    if isinstance(error, LykeionError):
        return error_response(status_of(error), str(error))
    if isinstance(error, RequestValidationError):
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        return error_response(422, f"{place}: {first['msg']}")
    if isinstance(error, HTTPException):
        return error_response(error.status_code, error.detail, error.headers)
    if isinstance(error, ClientDisconnect):  # for the metrics: nobody reads it
        return error_response(400, "the connection was closed before the end of the request")
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return error_response(500, "internal error; see the service's log")
