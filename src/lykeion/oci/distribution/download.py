"""Blobs from a registry: read by one thread, hashed by another, resumed after an interruption."""

import hashlib
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, Protocol

from lykeion.core import NotFound, writing
from lykeion.oci import ContentDamaged, Descriptor

from .artifact_store import Advance
from .errors import StoreError
from .transport import ATTEMPTS, Response, Transport, problem

BUFFER = 2**20
WRITE = 2**16
"""Bytes per write. For larger writes, Linux caches the file in large folios; the host of a virtual machine has
usually reclaimed memory of that size, and the write waits for it."""


class _Digest(Protocol):
    def update(self, data: bytes, /) -> None: ...


def fetch(transport: Transport, repository: str, descriptor: Descriptor, path: Path, advance: Advance) -> None:
    """Write a blob to ``path``, resuming what is there if it is intact.

    Raises NotFound, Refused, StoreError, and ContentDamaged for wrong content, whose file is then removed.
    """
    digest = hashlib.sha256()
    with path.open("a+b", buffering=0) as file, ThreadPoolExecutor(1) as hasher:
        file.seek(0)
        for piece in _pieces(file):
            digest.update(piece)
        done, failures = file.tell(), 0
        furthest = done
        if done > descriptor.size:
            file.truncate(0)
            digest, done, furthest = hashlib.sha256(), 0, 0
        advance(done)
        while done < descriptor.size:
            reason = "received less than the manifest says"
            try:
                response, start = _open(transport, repository, descriptor, done)
                if start != done:
                    file.truncate(0)
                    advance(-done)
                    digest, done = hashlib.sha256(), 0
                for count in _copy(response, file, digest, hasher, descriptor.size - done):
                    done += count
                    advance(count)
            except OSError as error:
                reason = str(error.strerror or error)
            if done < descriptor.size:
                failures, furthest = (0, done) if done > furthest else (failures + 1, furthest)
                if failures == ATTEMPTS:
                    raise StoreError(f"{transport.host}/{repository}: {descriptor.digest}: {reason}")
                if failures:
                    transport.pause(failures)
    if f"sha256:{digest.hexdigest()}" != descriptor.digest:
        path.unlink()
        raise ContentDamaged(f"{transport.host}/{repository}: wrong content for {descriptor.digest}; pull again")


def _open(transport: Transport, repository: str, descriptor: Descriptor, offset: int) -> tuple[Response, int]:
    """The blob from ``offset`` on, and where it really starts: not every registry supports ranges."""
    response = transport.send(
        "GET",
        f"/v2/{repository}/blobs/{descriptor.digest}",
        scope=f"repository:{repository}:pull",
        headers={"Range": f"bytes={offset}-"} if offset else {},
    )
    if response.status == 404:
        raise NotFound(f"{transport.host}/{repository}: has no blob {descriptor.digest}")
    if response.status == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {offset}-"):
        return response, offset
    if response.status != 200:
        raise problem(response, f"blob {descriptor.digest}")
    return response, 0


def _copy(
    response: Response, file: BinaryIO, digest: _Digest, hasher: ThreadPoolExecutor, limit: int
) -> Iterator[int]:
    """Yields the number of bytes of each write. One chunk is read while the previous one is hashed."""
    hashing: Future[None] | None = None
    try:
        while piece := response.read_piece(BUFFER):
            limit -= len(piece)
            if limit < 0:
                raise ContentDamaged(f"{response.url.hostname}: received more than the manifest says; pull again")
            if hashing:
                hashing.result()
            hashing = hasher.submit(digest.update, piece)
            view = memoryview(piece)
            with writing(Path(file.name), StoreError):
                while view:  # a full disk may accept a part
                    view = view[file.write(view[:WRITE]) :]
            yield len(piece)
    finally:
        if hashing:
            hashing.result()
        response.close()


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    while piece := file.read(BUFFER):
        yield piece
