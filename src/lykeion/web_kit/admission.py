"""Who may ask: decisions over the values of headers alone, for any server, ASGI or not.

Without a token a server is for this machine alone. A web page elsewhere could still make its visitor's browser ask
it, directly or through a name that it rebinds to 127.0.0.1; the Host and Origin headers tell these apart. With a
token there is nothing that a browser would send by itself, and the token alone decides.
"""

import hmac
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from lykeion.core import is_loopback

HeaderValues: TypeAlias = Callable[[str], Sequence[str]]
"""All values of the header of a name, which is given in lower case: Starlette's ``Headers.getlist``, for example."""

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[0-9a-z.-]+)(:[0-9]{1,5})?", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request goes no further, and the answer to it."""

    status: int
    message: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


def refuse_stranger(path: str, values: HeaderValues, *, token: str, open_paths: frozenset[str]) -> Refusal | None:
    """Refuse whoever may not ask for this path. ``open_paths`` (exact) need no token."""
    if token:
        return None if path in open_paths else refuse_token(values("authorization"), token)
    return refuse_host(values("host")) or refuse_origin(values("origin"), values("host")[0])


def refuse_token(authorizations: Sequence[str], token: str) -> Refusal | None:
    """Refuse a request that does not bear the token.

    Threat: a token found a character at a time, by how long the comparison takes. It takes the same time always.
    """
    scheme, _, given = authorizations[0].partition(" ") if len(authorizations) == 1 else ("", "", "")
    right = hmac.compare_digest(given.strip().encode("utf-8", "replace"), token.encode())
    if right and scheme.lower() == "bearer":
        return None
    challenge = {"WWW-Authenticate": "Bearer"}
    return Refusal(401, "an API token is needed: send Authorization: Bearer TOKEN", challenge)


def refuse_host(hosts: Sequence[str]) -> Refusal | None:
    """Refuse a request that does not name this machine in its one Host header.

    Threat: DNS rebinding. A page elsewhere has its own name resolve to 127.0.0.1, and its scripts read our answers as
    those of their own site; the browser still sends the page's name. What proxies add (``X-Forwarded-Host``) says
    nothing, as anyone can send it.
    """
    named = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
    if named and is_loopback(named[1]):
        return None
    return Refusal(403, "the Host header names another machine; this service is for this machine alone")


def refuse_origin(origins: Sequence[str], host: str) -> Refusal | None:
    """Refuse what a page of another origin makes its visitor's browser send.

    Threat: request forgery. A form, a script or a WebSocket of any page may be aimed at 127.0.0.1; the browser says
    whose page it is, or ``null``. Only programs and plain links, which change nothing, send no Origin. The scheme may
    differ, for a proxy before us may speak TLS.
    """
    ours = {f"http://{host.lower()}", f"https://{host.lower()}"}
    if not origins or (len(origins) == 1 and origins[0].lower() in ours):
        return None
    return Refusal(403, "the request comes from a page of another origin")
