"""Where files come from, as a protocol; and over HTTP (RFC 9110), with ranges and ``Retry-After``."""

from collections.abc import Generator, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote

from lykeion.core import first_line
from lykeion.device.errors import UpdateMissing, UpdateUnavailable

if TYPE_CHECKING:
    import urllib3

CHUNK_BYTES = 1 << 16
DEFAULT_LATER_S = 60
MAX_LATER_S = 24 * 3600
_CONNECT_S, _READ_S = 10.0, 30.0


class Later(UpdateUnavailable):
    """The server is busy with other devices; ask again after ``seconds``."""

    def __init__(self, what: str, seconds: int) -> None:
        self.seconds = seconds
        super().__init__(f"{what}: the server asks to come back in {seconds} s")


@dataclass(frozen=True, slots=True)
class Body:
    """A file's bytes from ``offset`` on, in chunks of at most CHUNK_BYTES; the offset may be 0 though another was
    asked for. Iterating raises UpdateUnavailable."""

    offset: int
    chunks: Iterator[bytes]


class FileSource(Protocol):
    def get(self, path: str, offset: int = 0) -> AbstractContextManager[Body]:
        """A file, by its path below the repository's address. Raises UpdateMissing, Later, UpdateUnavailable."""
        ...


class HttpFiles:
    """A repository at ``address``, an http or https URL; ``headers`` go with each request."""

    def __init__(
        self, address: str, headers: Mapping[str, str] | None = None, pool: "urllib3.PoolManager | None" = None
    ):
        self._address, self._headers, self._pool = address.rstrip("/"), dict(headers or {}), pool

    @contextmanager
    def get(self, path: str, offset: int = 0) -> Generator[Body]:
        import urllib3

        url = f"{self._address}/{quote(path)}"
        # identity: what is counted and resumed are the file's own bytes
        asked = {"Accept-Encoding": "identity", **self._headers} | ({"Range": f"bytes={offset}-"} if offset else {})
        self._pool = self._pool or urllib3.PoolManager(retries=False)
        limits = urllib3.Timeout(connect=_CONNECT_S, read=_READ_S)
        try:
            answer = self._pool.request("GET", url, headers=asked, preload_content=False, timeout=limits)
        except urllib3.exceptions.HTTPError as error:
            raise UpdateUnavailable(f"{url}: {first_line(error)}") from None
        try:
            yield Body(_offset(answer, url, offset), _chunks(answer, url))
        finally:
            answer.close()


def _offset(answer: "urllib3.BaseHTTPResponse", url: str, asked: int) -> int:
    """Where the answer's bytes begin. Raises as ``get`` does."""
    if answer.status == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {asked}-"):
        return asked
    if answer.status == 200:
        return 0
    if answer.status in (403, 404, 410):
        raise UpdateMissing(f"{url}: not there ({answer.status})")
    if answer.status in (429, 503):
        raise Later(url, retry_after_s(answer.headers.get("Retry-After", "")))
    raise UpdateUnavailable(f"{url}: the server answers {answer.status}")


def retry_after_s(text: str) -> int:
    """Of ``Retry-After``; dates, which need the device's clock to be right, mean the default."""
    return min(int(text), MAX_LATER_S) if text.isascii() and text.isdigit() and len(text) < 10 else DEFAULT_LATER_S


def _chunks(answer: "urllib3.BaseHTTPResponse", url: str) -> Iterator[bytes]:
    import urllib3

    try:
        while chunk := answer.read1(CHUNK_BYTES):  # what is there now: a slow server does not go unnoticed
            yield chunk
    except urllib3.exceptions.HTTPError as error:
        raise UpdateUnavailable(f"{url}: {first_line(error)}") from None
