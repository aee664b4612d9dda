"""How the API reports errors, and how its client turns them back into exceptions."""

from typing import Any

from lykeion.control import Exists, Gone, NoSuchResource, Outdated, ResourceError
from lykeion.core import LykeionError
from lykeion.web_kit import status_of

SHUTDOWN_PATH = "/shutdown"

REASONS: dict[str, tuple[type[LykeionError], int]] = {
    "NotFound": (NoSuchResource, 404),
    "AlreadyExists": (Exists, 409),
    "Conflict": (Outdated, 409),
    "Expired": (Gone, 410),
    "Invalid": (ResourceError, 422),
}
"""Kubernetes' name for why a request failed: the error and the status code."""


def status_document(error: Exception) -> dict[str, Any]:
    """Kubernetes' Status for an error; errors that are not a LykeionError give no details."""
    for reason, (type_, code) in REASONS.items():
        if isinstance(error, type_):
            return _status(reason, code, str(error))
    if isinstance(error, LykeionError):
        return _status("InternalError", status_of(error), str(error))
    return _status("InternalError", 500, "an error inside the server; its log says more")


def _status(reason: str, code: int, message: str) -> dict[str, Any]:
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "reason": reason,
        "code": code,
        "message": message,
    }
