"""Access checks as functions of header values alone, for any server, ASGI or not.

Without a token a server answers this machine only. A web page could still make its visitor's browser send requests
to it, directly or through a name rebound to 127.0.0.1; the Host and Origin headers reveal both. A browser never sends
a token by itself, so with one the token alone decides.
"""

import hmac
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from lykeion.core import is_loopback

from .server_settings import ServerSettings

HeaderValues: TypeAlias = Callable[[str], Sequence[str]]
"""All values of a header, whose name is in lower case: for example Starlette's ``Headers.getlist``."""

METRICS = "/metrics"
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[0-9a-z.-]+)(:[0-9]{1,5})?", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is refused, and the response to it."""

    status: int
    message: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


def refuse_stranger(
    path: str, values: HeaderValues, settings: ServerSettings, open_paths: frozenset[str]
) -> Refusal | None:
    """Refuse a request that is not allowed. ``open_paths`` (exact) need no token."""
    if path == METRICS and _may_read_metrics(values, settings):
        return None
    if settings.token:
        return None if path in open_paths else refuse_token(values("authorization"), settings.token)
    hosts, allowed = values("host"), settings.allowed_hosts
    return refuse_host(hosts, allowed) or refuse_origin(values("origin"), hosts[0], allowed)


def _may_read_metrics(values: HeaderValues, settings: ServerSettings) -> bool:
    """With a token of their own, or as the settings say, without. Not by the address: a proxy on this machine, which
    passes on requests of others, has the same."""
    token = settings.metrics_token
    return settings.open_metrics or bool(token and refuse_token(values("authorization"), token) is None)


def refuse_token(authorizations: Sequence[str], token: str) -> Refusal | None:
    """Refuse a request without the token.

    Threat: a timing attack that finds the token character by character. The comparison takes constant time.
    """
    scheme, _, given = authorizations[0].partition(" ") if len(authorizations) == 1 else ("", "", "")
    right = hmac.compare_digest(given.strip().encode("utf-8", "replace"), token.encode())
    if right and scheme.lower() == "bearer":
        return None
    challenge = {"WWW-Authenticate": "Bearer"}
    return Refusal(401, "an API token is needed: send Authorization: Bearer TOKEN", challenge)


def refuse_host(hosts: Sequence[str], allowed: Collection[str] = ()) -> Refusal | None:
    """Refuse a request that names neither this machine nor an ``allowed`` host in its one Host header.

    Threat: DNS rebinding. A page makes its own name resolve to 127.0.0.1, so that its scripts may read our responses
    as same-origin; the browser still sends the page's name. ``X-Forwarded-Host`` proves nothing, as anyone can send
    it.
    """
    named = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
    if named and (is_loopback(named[1]) or named[1].lower() in allowed):
        return None
    return Refusal(
        403, "the Host header names another machine; without a token this one is answered, and allowed hosts"
    )


def refuse_origin(origins: Sequence[str], host: str, allowed: Collection[str] = ()) -> Refusal | None:
    """Refuse requests that a page of another origin makes a browser send. Pages of ``allowed`` hosts are ours.

    Threat: cross-site request forgery. A form, script or WebSocket of any page may target 127.0.0.1; the browser
    sends the page's origin, or ``null``. Only programs and plain links, which change nothing, send no Origin. The
    scheme may differ, since a proxy may terminate TLS.
    """
    scheme, _, origin = origins[0].lower().partition("://") if len(origins) == 1 else ("", "", "")
    named = _HOST.fullmatch(origin)
    ours = scheme in ("http", "https") and (origin == host.lower() or bool(named and named[1] in allowed))
    if ours or not origins:
        return None
    return Refusal(403, "the request comes from a page of another origin")
