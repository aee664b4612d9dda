"""Photos by URL, within limits of size, time and redirects.

The URLs of a manifest are trusted, so they may name hosts in a private network. The hosts themselves are not: a
redirect is followed only over http(s), and from a public host only to public addresses.
"""

import ipaddress
import socket
import time

import httpx

from lykeion.core import Unavailable

MAX_REDIRECTS = 5
TRIES = 3
"""For temporary failures: broken connections, time-outs, 429 and 5xx responses."""


class DownloadError(Unavailable):
    """A photo cannot be downloaded from its URL."""


class Downloads:
    """Fetches photos over persistent connections. Thread-safe."""

    def __init__(self, *, max_bytes: int, seconds: float = 60.0, pause: float = 0.5) -> None:
        """``max_bytes`` per photo, ``seconds`` per try, ``pause`` seconds before the second try, then doubled."""
        self._max_bytes, self._seconds, self._pause = max_bytes, seconds, pause
        self._client = httpx.Client(
            timeout=httpx.Timeout(min(seconds, 20.0), connect=min(seconds, 10.0)),
            headers={"User-Agent": "lykeion", "Accept": "image/*", "Accept-Encoding": "identity"},
        )

    def fetch(self, url: str) -> bytes:
        """The photo's bytes. Raises DownloadError."""
        for tries in range(1, TRIES + 1):
            try:
                return self._follow(url)
            except (httpx.TransportError, _Passing) as error:
                if tries == TRIES or isinstance(error, httpx.UnsupportedProtocol):
                    raise DownloadError(str(error) or type(error).__name__) from None
            except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
                raise DownloadError(str(error) or type(error).__name__) from None
            time.sleep(self._pause * 2 ** (tries - 1))
        raise AssertionError("unreachable")

    def close(self) -> None:
        self._client.close()

    def _follow(self, url: str) -> bytes:
        at = httpx.URL(url)
        for _ in range(MAX_REDIRECTS + 1):
            with self._client.stream("GET", at) as response:
                if not response.has_redirect_location:
                    return self._read(response)
                to = at.join(response.headers["location"])
            if to.scheme not in ("http", "https"):
                raise DownloadError(f"redirected to {to.scheme}://, which is not fetched")
            if to.host != at.host and _is_public(at.host) and not _is_public(to.host):
                raise DownloadError(f"redirected from a public host into a private network ({to.host})")
            at = to
        raise DownloadError(f"more than {MAX_REDIRECTS} redirects")

    def _read(self, response: httpx.Response) -> bytes:
        status = response.status_code
        if status == 429 or status >= 500:
            raise _Passing(f"the server answered {status}")
        if status != 200:
            raise DownloadError(f"the server answered {status}")
        body = bytearray()
        deadline = time.monotonic() + self._seconds
        for piece in response.iter_raw():
            body += piece
            if len(body) > self._max_bytes:
                raise DownloadError(f"larger than {self._max_bytes:,} bytes")
            if time.monotonic() > deadline:
                raise _Passing(f"not there after {self._seconds:.0f} s")
        return bytes(body)


class _Passing(Exception):
    """A temporary failure, worth another try."""


def _is_public(host: str) -> bool:
    """Whether all addresses of a host are public."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return False
    return all(ipaddress.ip_address(str(address[0]).partition("%")[0]).is_global for *_, address in found)
