"""Requests to one registry: authentication, redirects, retries.

urllib3 underneath: docs/decisions/registry.md says why. Authorization is sent only to the registry's own server,
whatever a redirect says. Requests that change something go only to the registry or to a server where it began an
upload, and no redirect leads from TLS to plain HTTP. Temporary errors (429, 502, 503, 504) are retried, no sooner
than their Retry-After.
"""

import email.utils
import json
import random
import ssl
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, cast
from urllib.parse import SplitResult

import urllib3

from lykeion.core import Refused

from .connections import CERTIFICATES, Connections, Piece, network_errors, origin, read_url
from .credentials import find_credentials
from .errors import StoreError
from .schemes import SCHEMES_VARIABLE, Scheme, scheme_of
from .tokens import Authorizer, read_challenge

TIMEOUT_S = 60.0
ATTEMPTS = 6
MAX_WAIT_S = 300.0
MAX_REDIRECTS = 5
MAX_MANIFEST = 4 * 2**20
_AGAIN = {408, 429, 500, 502, 503, 504}
_DOCKER_HUB = {"docker.io": "registry-1.docker.io"}
_NO_TLS = {"WRONG_VERSION_NUMBER", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE", "HTTP_REQUEST"}
_WRONG = {
    "https": "; if it speaks plain HTTP, give --plain-http, or {variable}=http://{host}",
    "http": "; it was asked over plain HTTP; if it speaks TLS, give --tls, or {variable}=https://{host}",
}


class Response:
    """A status, headers, and a body that is read once; ``close`` keeps the connection if the body was read to its
    end."""

    def __init__(self, raw: urllib3.BaseHTTPResponse, url: SplitResult) -> None:
        self.status, self.headers, self.url = raw.status, raw.headers, url
        self._raw = raw
        self._body: bytes | None = None

    def keep(self, limit: int) -> None:
        """Read the body now, for ``read``. Raises what that raises."""
        self._body = self.read(limit)

    def read(self, limit: int = MAX_MANIFEST) -> bytes:
        """The whole body. Raises StoreError if it exceeds ``limit`` bytes or MAX_WAIT_S, and OSError if it is shorter
        than announced."""
        if self._body is not None:
            return self._body
        data, deadline = bytearray(), time.monotonic() + MAX_WAIT_S
        try:
            while piece := self._read_some(limit + 1 - len(data)):
                data += piece
                if len(data) > limit:
                    raise StoreError(f"{self.url.hostname}: a response of more than {limit:,} bytes")
                if time.monotonic() > deadline:
                    raise StoreError(f"{self.url.hostname}: an answer that takes more than {MAX_WAIT_S:.0f} s")
        finally:
            self.close()
        return bytes(data)

    def read_piece(self, size: int) -> bytes:
        """The next bytes, at most ``size``; none at the end. Raises OSError if the connection ends early."""
        with network_errors():
            return self._raw.read(size)

    def _read_some(self, size: int) -> bytes:
        """Like ``read_piece``, but returns as soon as any bytes arrive."""
        with network_errors():
            return self._raw.read1(size)

    def link(self, header: str) -> str:
        """An address from a header, which may be relative. Raises StoreError."""
        return read_url(header, self.url.geturl()).geturl()

    def close(self) -> None:
        self._raw.close()


class Transport:
    """Requests to the registry at ``host``, a name with or without a port. Thread-safe."""

    def __init__(
        self,
        host: str,
        *,
        scheme: Scheme | None = None,
        timeout_s: float = TIMEOUT_S,
        attempts: int = ATTEMPTS,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """``scheme`` is the one that ``scheme_of`` finds, if it is not given; ``attempts`` is how often a
        request is sent that fails. Raises InvalidReference."""
        scheme = scheme or scheme_of(host)
        self.host, self.base = host, f"{scheme}://{_DOCKER_HUB.get(host, host)}"
        self._origin = origin(read_url(self.base))
        self._changeable = {self._origin}
        self._attempts, self._sleep = attempts, sleep
        self._connections = Connections(self._origin, timeout_s)
        self._authorizer = Authorizer(host, partial(find_credentials, host), self._ask, allow_plain=scheme == "http")
        self._answered = False

    def send(
        self,
        method: str,
        url: str,
        *,
        scope: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | Piece = b"",
        again: bool = True,
        limit: int | None = None,
    ) -> Response:
        """The response, whatever its status, once authenticated. ``url`` may be a path of the registry's. With
        ``limit``, a response of status 200 is read completely, and has at most so many bytes.

        With ``again`` a request is retried if it failed or the server was busy, so it must be idempotent.
        Raises Refused, StoreError.
        """
        attempts = self._attempts if again else 1
        for attempt in range(1, attempts + 1):
            try:
                response = self._authenticated(method, self._absolute(url), scope, dict(headers or {}), body, again)
                if limit is not None and response.status == 200:
                    response.keep(limit)
            except OSError as error:
                if attempt == attempts or isinstance(error, ssl.SSLCertVerificationError) or self._misses(error):
                    raise StoreError(f"{self.host}: {_reason(error)}{self._advice(error)}") from None
                self.pause(attempt)
                continue
            if response.status == 400 and not self._answered and _is_no_registrys(response):
                raise StoreError(f"{self.host}: HTTP 400{self._wrong_scheme}")
            self._answered = True
            if response.status not in _AGAIN or attempt == attempts:
                return response
            wait = _retry_after(response.headers.get("Retry-After"))
            response.close()
            self._sleep(max(wait, _pause(attempt)))
        raise AssertionError("unreachable")

    def pause(self, attempt: int) -> None:
        """Wait before a retry, longer after each failure."""
        self._sleep(_pause(attempt))

    def upload_to(self, url: str) -> None:
        """Allow requests that change something to the server where the registry began an upload."""
        self._changeable.add(origin(self._absolute(url)))

    def close(self) -> None:
        self._connections.close()

    def _misses(self, error: OSError) -> bool:
        """Whether an answer to TLS shows for sure that it is none in TLS."""
        return isinstance(error, ssl.SSLError) and error.reason in _NO_TLS

    def _advice(self, error: OSError) -> str:
        """What to do about what may come of the wrong scheme."""
        if isinstance(error, ssl.SSLCertVerificationError):
            return f"; {CERTIFICATES / self.host} or SSL_CERT_FILE may hold its certificate authority"
        cut = isinstance(error, ConnectionError | ssl.SSLEOFError) and not isinstance(error, ConnectionRefusedError)
        return "" if self._answered or not (cut or self._misses(error)) else self._wrong_scheme

    @property
    def _wrong_scheme(self) -> str:
        return _WRONG[self._origin[0]].format(host=self.host, variable=SCHEMES_VARIABLE)

    def _authenticated(
        self, method: str, url: SplitResult, scope: str, headers: dict[str, str], body: bytes | Piece, again: bool
    ) -> Response:
        refused = authorization = self._authorizer.header(scope)
        for _ in range(3):
            response = self._follow(method, url, headers, body, authorization, again)
            if response.status != 401 or origin(response.url) != self._origin:
                return response
            challenge = response.headers.get("WWW-Authenticate")
            response.close()
            if not challenge:
                break
            refused = authorization
            authorization = self._authorizer.answer(read_challenge(challenge), scope, refused)
        raise Refused(f"{self.host}: this login may not {method} {url.path}; log in as a user with permission")

    def _follow(
        self,
        method: str,
        url: SplitResult,
        headers: Mapping[str, str],
        body: bytes | Piece,
        authorization: str | None,
        again: bool,
    ) -> Response:
        for _ in range(MAX_REDIRECTS + 1):
            self._check(method, url)
            own = origin(url) == self._origin
            sent = {**headers, "Authorization": authorization} if own and authorization else headers
            response = self._once(method, url, sent, body, again=again)
            moved = response.headers.get("Location")
            if response.status not in (301, 302, 303, 307, 308) or not moved:
                return response
            response.close()
            url = self._absolute(moved, url.geturl())
            if response.status in (301, 302, 303) and method != "HEAD":
                method, body = "GET", b""
        raise StoreError(f"{self.host}: redirects more than {MAX_REDIRECTS} times")

    def _check(self, method: str, url: SplitResult) -> None:
        """Raises StoreError for requests that a registry must not cause."""
        if url.scheme == "http" and self._origin[0] == "https":
            raise StoreError(f"{self.host}: redirects from TLS to plain HTTP at {url.hostname}")
        if method not in ("GET", "HEAD") and origin(url) not in self._changeable:
            raise StoreError(f"{self.host}: redirects a {method} to {url.hostname}, where it began no upload")

    def _once(
        self, method: str, url: SplitResult, headers: Mapping[str, str], body: bytes | Piece, *, again: bool = True
    ) -> Response:
        """One request. If it must not be repeated it gets a new connection, since a pooled one may be dead."""
        return Response(self._connections.send(method, url, headers, body, new=not again), url)

    def _ask(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        """A request to a token server."""
        try:
            response = self._once(method, read_url(url), headers, body)
            return response.status, response.read(2**20)
        except OSError as error:
            raise StoreError(
                f"{self.host}: its token server {url.partition('?')[0][:100]}: {_reason(error)}"
            ) from None

    def _absolute(self, url: str, base: str = "") -> SplitResult:
        """Uses the registry's scheme for its own host: registries behind a TLS proxy may announce http."""
        whole, own = read_url(url, base or self.base + "/"), read_url(self.base)
        return whole._replace(scheme=own.scheme) if whole.netloc == own.netloc else whole


def problem(response: Response, what: str) -> StoreError | Refused:
    """The error for an unexpected response, with the registry's message."""
    try:
        said: Any = json.loads(response.read())
        first = cast(dict[str, Any], said["errors"][0])
        detail = f"{first.get('code', '')} {first.get('message', '')}".strip()
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, OSError, StoreError):
        detail = ""
    words = " ".join(detail.split())[:300]
    text = f"{response.url.netloc}: {what}: HTTP {response.status}" + (f", {words}" if words else "")
    return Refused(text) if response.status in (401, 403) else StoreError(text)


def _is_no_registrys(response: Response) -> bool:
    """Whether a refusal lacks the words of registries, as one by a server that speaks TLS and was asked in plain."""
    with suppress(OSError, StoreError):
        response.keep(MAX_MANIFEST)
        return b'"errors"' not in response.read()
    return True


def _retry_after(header: str | None) -> float:
    """Seconds, or a date; at most MAX_WAIT_S."""
    if not header:
        return 0.0
    if header.strip().isdecimal():
        return min(float(header), MAX_WAIT_S)
    try:
        return min(max(email.utils.parsedate_to_datetime(header).timestamp() - time.time(), 0.0), MAX_WAIT_S)
    except (ValueError, OverflowError):
        return 0.0


def _pause(attempt: int) -> float:
    return min(0.25 * 2**attempt, 10.0) * random.uniform(0.5, 1.0)  # noqa: S311


def _reason(error: OSError) -> str:
    text = error.strerror or str(error) or type(error).__name__
    return " ".join(str(text).split())[:300]
