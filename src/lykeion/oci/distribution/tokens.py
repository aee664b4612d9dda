"""Authentication: a registry's challenge, and the token that answers it.

https://distribution.github.io/distribution/spec/auth/token/ and RFC 6750. A token is for one scope, is cached
until it expires, and is requested again when the registry refuses it, even in the middle of an upload.
"""

import json
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias
from urllib.parse import urlencode

from lykeion.core import Refused

from .connections import read_url
from .credentials import Credentials

_PARAMETER = re.compile(r'([a-zA-Z_-]+)(?:\s*=\s*(?:"([^"]*)"|([^\s,"]+))|(?=[\s,]|$))')
"""A parameter, or a scheme, which has no value."""
_MARGIN_S = 10
_DEFAULT_S = 60
"""Lifetime of a token if the server does not say."""

Exchange: TypeAlias = Callable[[str, str, Mapping[str, str], bytes], tuple[int, bytes]]
"""(method, url, headers, body) to (status, body): one request without any authorization of its own."""


@dataclass(frozen=True, slots=True)
class Challenge:
    scheme: str
    parameters: Mapping[str, str]


def read_challenge(header: str) -> Challenge:
    """The first Bearer or Basic challenge in ``WWW-Authenticate`` headers; else the first challenge."""
    found: list[tuple[str, dict[str, str]]] = []
    for match in _PARAMETER.finditer(header):
        name, quoted, plain = match[1].lower(), match[2], match[3]
        if quoted is None and plain is None:
            found.append((name, {}))
        elif found:
            found[-1][1][name] = quoted or plain or ""
    challenges = [Challenge(scheme, parameters) for scheme, parameters in found]
    known = [each for each in challenges if each.scheme in ("bearer", "basic")]
    return next(iter([*known, *challenges]), Challenge("", {}))


class Authorizer:
    """Authorizations for one registry, by scope. Thread-safe."""

    def __init__(
        self, host: str, credentials: Callable[[str], Credentials | None], exchange: Exchange, *, allow_plain: bool
    ) -> None:
        """``credentials`` finds those for a repository; ``allow_plain``: whether they may go to a token server over
        plain HTTP."""
        self._host, self._exchange, self._allow_plain = host, exchange, allow_plain
        self._credentials = cache(credentials)
        self._known: dict[str, tuple[str, float]] = {}
        self._lock = threading.Lock()

    def header(self, scope: str) -> str | None:
        """The cached authorization for a scope; makes no request."""
        authorization, ends = self._known.get(scope, ("", 0.0))
        return authorization if time.monotonic() < ends else None

    def answer(self, challenge: Challenge, scope: str, refused: str | None) -> str:
        """The authorization for a challenge; ``refused`` is the one that was just rejected.

        Raises Refused where there are no credentials for it, or they are not accepted.
        """
        with self._lock:  # while one thread fetches a token, the others wait for it
            known = self.header(scope)
            if known is not None and known != refused:
                return known
            if challenge.scheme == "basic":
                authorization, ends = self._basic(scope, refused), float("inf")
            elif challenge.scheme == "bearer":
                token, seconds = self._token(challenge, scope)
                authorization, ends = f"Bearer {token}", time.monotonic() + max(seconds - _MARGIN_S, 1)
            else:
                raise Refused(
                    f"{self._host}: asks for {challenge.scheme[:40]!r} authorization, which is not supported"
                )
            self._known[scope] = authorization, ends
            return authorization

    def _basic(self, scope: str, refused: str | None) -> str:
        credentials = self._own(scope)
        if credentials is None or not credentials.user:
            raise Refused(f"{self._host}: asks for a user and password; log in with docker, podman or skopeo login")
        if credentials.basic == refused:
            raise Refused(f"{self._host}: the user or password is not accepted; log in again")
        return credentials.basic

    def _own(self, scope: str) -> Credentials | None:
        """For the first repository of a scope, ``repository:NAME:pull``."""
        return self._credentials(scope.partition(":")[2].partition(":")[0])

    def _token(self, challenge: Challenge, scope: str) -> tuple[str, float]:
        realm, service = challenge.parameters.get("realm", ""), challenge.parameters.get("service", "")
        if read_url(realm).scheme != "https" and not self._allow_plain:
            raise Refused(f"{self._host}: its token server {realm[:100]!r} is not reached over TLS")
        asked = challenge.parameters.get("scope") or scope
        credentials = self._own(scope)
        if credentials and credentials.identity_token:
            form = {
                "grant_type": "refresh_token",
                "refresh_token": credentials.identity_token,
                "service": service,
                "client_id": "lykeion",
                "scope": asked,
            }
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            status, body = self._exchange("POST", realm, headers, urlencode(form).encode())
        else:
            query = urlencode({key: value for key, value in (("service", service), ("scope", asked)) if value})
            headers = {"Authorization": credentials.basic} if credentials else {}
            status, body = self._exchange("GET", f"{realm}{'&' if '?' in realm else '?'}{query}", headers, b"")
        if status != 200:
            who = (
                f"user {credentials.user!r}"
                if credentials and credentials.user
                else "anybody"
                if not credentials
                else "this login"
            )
            raise Refused(f"{self._host}: no token for {who} (HTTP {status}); log in to the registry")
        return _read_token(body, self._host)


def _read_token(body: bytes, host: str) -> tuple[str, float]:
    try:
        answer: Any = json.loads(body)
        token = answer.get("token") or answer["access_token"]
        seconds = float(answer.get("expires_in") or _DEFAULT_S)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        token, seconds = None, 0.0
    if not isinstance(token, str) or not (token.isascii() and token.isprintable()):
        raise Refused(f"{host}: its token server's response has no token")
    return token, seconds
