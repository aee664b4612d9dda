"""The errors of an API server as ours: https://kubernetes.io/docs/reference/using-api/api-concepts/#api-status."""

from collections.abc import Mapping
from typing import Any

from lykeion.control import Exists, Gone, NoSuchKind, NoSuchResource, Outdated, ResourceError
from lykeion.core import LykeionError, NotFound, Refused, Unavailable
from lykeion.platform.kubernetes.objects import inside

LIMIT_WORDS = 2000


class ClusterError(Unavailable):
    """The API server cannot be reached, is overloaded, or answers as it should not."""


class ClusterRefused(Refused):
    """The API server refuses the credentials, or they allow less than what was asked."""


class NotServed(ClusterError, NoSuchKind):
    """The API server does not have the type, such as that of a definition that is not installed."""


class UidMismatch(Outdated):
    """The object was deleted and made again: its UID is another than the expected one."""


def error_of(code: int, status: Mapping[str, Any], what: str) -> LykeionError:
    """The error for a Kubernetes Status, or an empty one if the answer was none; ``what`` is such as ``job/a``."""
    words = str(status.get("message") or f"the API server answers {code}")[:LIMIT_WORDS]
    match code, status.get("reason"):
        case 404, _:
            return _not_found(status, what, words)
        case 409, "AlreadyExists":
            return Exists(f"there is a {what} already")
        case 409, _:
            return UidMismatch(f"{what}: {words}") if "UID" in words else Outdated(f"{what}: {words}")
        case _ if _has_cause(status, "ResourceVersionTooLarge"):
            return Gone(f"{what}: the API server does not know this version yet: was it restored? list again")
        case (410, _) | (_, "Expired"):
            return Gone(f"{what}: {words}; list again")
        case ((401 | 403), _):
            return ClusterRefused(f"{what}: {words}")
        case ((400 | 405 | 413 | 415 | 422), _):
            return ResourceError(f"{what}: {_causes(status) or words}")
        case _:
            return ClusterError(f"{what}: {words}")


def _not_found(status: Mapping[str, Any], what: str, words: str) -> NotFound | NotServed:
    """An object's Status names it; a path that is not served has none, or one without a name."""
    details = inside(status, "details")
    if not details.get("name"):
        return NotServed(f"{what}: the cluster does not have this kind; install its definition")
    if details.get("kind") == "namespaces":
        return NoSuchResource(f"{what}: {words}")
    return NoSuchResource(f"there is no {what}")


def _has_cause(status: Mapping[str, Any], reason: str) -> bool:
    causes: list[Any] = inside(status, "details").get("causes") or []
    return any(each.get("reason") == reason for each in causes)


def _causes(status: Mapping[str, Any]) -> str:
    """Fields and words, without the value that is repeated before the words of a CEL rule."""
    causes: list[Any] = inside(status, "details").get("causes") or []
    return "; ".join(f"{each.get('field')}: {_rule(str(each.get('message', '')))}" for each in causes)[:LIMIT_WORDS]


def _rule(message: str) -> str:
    head, found, rule = message.partition('Invalid value: "object": ')
    return rule if found and not head else message
