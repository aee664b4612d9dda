"""Blobs to a registry: small ones at once, large ones in chunks, resumed after an interruption.

The state of an upload is kept in the cache directory, so that even a killed push is resumed.
"""

import json
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlencode

from lykeion.core import cache_directory, digest_bytes, digest_file, write_atomically
from lykeion.oci import ContentDamaged, Descriptor

from .artifact_store import Advance
from .connections import Piece
from .errors import StoreError
from .transport import ATTEMPTS, Response, Transport, problem

CHUNK = 64 * 2**20
AT_ONCE = 8 * 2**20
_RANGE = re.compile(r"(?:bytes=)?0-(\d{1,18})")


def put(
    transport: Transport, repository: str, descriptor: Descriptor, source: bytes | Path, advance: Advance
) -> None:
    """Raises ContentDamaged if ``source`` does not match the descriptor, Refused, StoreError."""
    if isinstance(source, bytes):
        if digest_bytes(source) != descriptor.digest:
            raise ContentDamaged(f"{descriptor.digest}: the content differs")
        _put_small(transport, repository, descriptor, source, advance)
    elif descriptor.size <= AT_ONCE:
        put(transport, repository, descriptor, source.read_bytes(), advance)
    else:
        _Upload(transport, repository, descriptor, source, advance).run()


def _put_small(transport: Transport, repository: str, descriptor: Descriptor, data: bytes, advance: Advance) -> None:
    location, _ = _start(transport, repository)
    _finish(transport, repository, descriptor, location, data)
    advance(len(data))


class _Upload:
    def __init__(
        self, transport: Transport, repository: str, descriptor: Descriptor, path: Path, advance: Advance
    ) -> None:
        self._transport, self._repository, self._descriptor = transport, repository, descriptor
        self._path, self._advance = path, advance
        self._scope = _scope(repository)
        key = digest_bytes(f"{transport.host}/{repository}@{descriptor.digest}".encode()).removeprefix("sha256:")
        self._note = cache_directory() / "uploads" / f"{key}.json"
        self._told, self._least = 0, 0

    def run(self) -> None:
        location, offset = self._resumed() or self._begun()
        failures, furthest = 0, offset
        problem = StoreError(f"{self._transport.host}: does not keep uploads")
        while offset < self._descriptor.size:
            self._tell(offset)
            self._remember(location)
            try:
                location, offset = self._send(location, offset)
            except StoreError as error:
                problem = error
                found = self._stands(location)
                location, offset = found or self._begun()
            failures, furthest = (0, offset) if offset > furthest else (failures + 1, furthest)
            if failures == ATTEMPTS:
                raise problem
        self._tell(offset)
        try:
            _finish(self._transport, self._repository, self._descriptor, location, b"", changed=self._changed)
        except Exception:  # the upload is not the blob: the next push starts over
            self._note.unlink(missing_ok=True)
            raise
        self._note.unlink(missing_ok=True)

    def _send(self, location: str, offset: int) -> tuple[str, int]:
        length = min(max(CHUNK, self._least), self._descriptor.size - offset)
        response = self._transport.send(
            "PATCH",
            location,
            scope=self._scope,
            headers={
                "Content-Type": "application/octet-stream",
                "Content-Range": f"{offset}-{offset + length - 1}",
            },
            body=Piece(self._path, offset, length),
            again=False,
        )
        if response.status not in (201, 202, 204):
            raise problem(response, f"upload of {self._path.name}")
        response.close()
        return _location(response) or location, _offset(response, offset + length)

    def _begun(self) -> tuple[str, int]:
        location, self._least = _start(self._transport, self._repository)
        return location, 0

    def _stands(self, location: str) -> tuple[str, int] | None:
        """The registry's state of an upload; None if it does not know it."""
        response = self._transport.send("GET", location, scope=self._scope)
        response.close()
        if response.status not in (200, 202, 204):
            return None
        offset = _offset(response, 0)
        return (_location(response) or location, offset) if offset <= self._descriptor.size else None

    def _resumed(self) -> tuple[str, int] | None:
        try:
            location = json.loads(self._note.read_bytes())["location"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        if not isinstance(location, str) or not location.startswith(self._transport.base + "/"):
            return None
        with suppress(StoreError):
            return self._stands(location)
        return None

    def _remember(self, location: str) -> None:
        with suppress(OSError):  # an upload works even if it cannot be resumed later
            write_atomically(self._note, json.dumps({"location": location}).encode(), durable=False)

    def _tell(self, offset: int) -> None:
        self._advance(offset - self._told)
        self._told = offset

    def _changed(self) -> bool:
        return digest_file(self._path) != self._descriptor.digest


def _start(transport: Transport, repository: str) -> tuple[str, int]:
    """The location of an upload, and the minimum size of each chunk but the last."""
    response = transport.send("POST", f"/v2/{repository}/blobs/uploads/", scope=_scope(repository))
    location = _location(response)
    if response.status != 202 or not location:
        raise problem(response, f"upload to {repository}")
    response.close()
    transport.upload_to(location)
    least = response.headers.get("OCI-Chunk-Min-Length", "")
    return location, int(least) if re.fullmatch(r"\d{1,18}", least, re.ASCII) else 0


def _finish(
    transport: Transport,
    repository: str,
    descriptor: Descriptor,
    location: str,
    data: bytes,
    *,
    changed: Callable[[], bool] | None = None,
) -> None:
    url = f"{location}{'&' if '?' in location else '?'}{urlencode({'digest': descriptor.digest})}"
    response = transport.send(
        "PUT",
        url,
        scope=_scope(repository),
        headers={"Content-Type": "application/octet-stream"},
        body=data,
        again=bool(data),
    )
    if response.status == 400 and changed and changed():
        response.close()
        raise ContentDamaged(f"{descriptor.digest}: the file changed while it was pushed; push again")
    if response.status not in (201, 204):
        raise problem(response, f"upload of {descriptor.digest}")
    response.close()


def _location(response: Response) -> str | None:
    location = response.headers.get("Location")
    return response.link(location) if location else None


def _offset(response: Response, otherwise: int) -> int:
    """Bytes that the registry has, from its Range header; "0-0" means none."""
    match = _RANGE.fullmatch(response.headers.get("Range", "").strip())
    if not match:
        return otherwise
    return int(match[1]) + 1 if int(match[1]) else 0


def _scope(repository: str) -> str:
    return f"repository:{repository}:pull,push"
