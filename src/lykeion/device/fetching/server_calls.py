"""Calls of the server that has the devices: JSON by POST."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from lykeion.core import Refused, first_line
from lykeion.device.errors import UpdateUnavailable

from .file_source import Later, retry_after_s

if TYPE_CHECKING:
    import urllib3

MAX_ANSWER_BYTES = 1 << 20
_CONNECT_S, _READ_S = 10.0, 30.0


class ServerRefuses(Refused):
    """The server does not take the token, the credential or the message; the same call will fail again."""


class Post(Protocol):
    def __call__(self, call: str, message: Mapping[str, Any], token: str) -> bytes:
        """The answer's body. Raises ServerRefuses, Later, UpdateUnavailable."""
        ...


class HttpPost:
    """At ``address``, an http or https URL."""

    def __init__(self, address: str, pool: "urllib3.PoolManager | None" = None) -> None:
        self._address, self._pool = address.rstrip("/"), pool

    def __call__(self, call: str, message: Mapping[str, Any], token: str) -> bytes:
        import urllib3

        url = self._address + call
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        self._pool = self._pool or urllib3.PoolManager(retries=False)
        try:
            answer = self._pool.request(
                "POST",
                url,
                body=json.dumps(message).encode(),
                headers=headers,
                timeout=urllib3.Timeout(connect=_CONNECT_S, read=_READ_S),
                preload_content=False,
                redirect=False,
            )
            try:
                body = answer.read(MAX_ANSWER_BYTES + 1)
            finally:
                answer.close()
        except urllib3.exceptions.HTTPError as error:
            raise UpdateUnavailable(f"{url}: {first_line(error)}") from None
        return _checked(url, answer.status, answer.headers.get("Retry-After", ""), body)


def _checked(url: str, status: int, retry_after: str, body: bytes) -> bytes:
    if status in (429, 503):
        raise Later(url, retry_after_s(retry_after))
    if 400 <= status < 500:
        raise ServerRefuses(f"{url}: the server answers {status}: {_said(body)}")
    if not 200 <= status < 300 or len(body) > MAX_ANSWER_BYTES:
        raise UpdateUnavailable(f"{url}: the server answers {status} with {len(body):,} bytes")
    return body


def _said(body: bytes) -> str:
    text = body[:300].decode(errors="replace")
    return "".join(letter if letter.isprintable() else " " for letter in text).strip() or "no reason given"
