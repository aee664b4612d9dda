"""The threads that turn a photo into a vector: one per core to decode and embed, and more that wait for downloads."""

import stat
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np

from lykeion.core import core_count, digest_bytes
from lykeion.search.embedder import Embedder
from lykeion.search.thumbnails import SIDE
from lykeion.vision import PhotoError

from .photo_source import ListedPhoto

if TYPE_CHECKING:
    from .photo_downloads import Downloads

MAX_FILE_BYTES = 128 * 2**20
MAX_DOWNLOAD_BYTES = 64 * 2**20
DOWNLOADS = 16
"""Photos fetched at once; together with the limit on their size, this bounds their memory."""


@dataclass(frozen=True, slots=True)
class Taken:
    """The result for a photo; ``vector`` is float32 (dimension,), or None if its bytes are already known."""

    digest: str
    vector: np.ndarray | None = None
    thumbnail: bytes | None = None


class PhotoWorkers:
    """Processes photos in the background. Leaving its context cancels the photos that have not begun."""

    def __init__(self, embedder: Embedder, *, threads: int | None = None, thumbnails: bool = False) -> None:
        self._embedder = embedder
        self._thumbnail = SIDE if thumbnails else None
        self._cores = ThreadPoolExecutor(threads or core_count(), "embed")
        self._fetchers: ThreadPoolExecutor | None = None
        self._downloads: Downloads | None = None

    def take(self, item: ListedPhoto, known_digest: str) -> Future[Taken]:
        """Begin to read and embed a photo. The future raises PhotoError, DownloadError or OSError."""
        if isinstance(item.location, Path):
            return self._cores.submit(self._take_file, item.location, item.photo or item.id, known_digest)
        if self._fetchers is None:
            from .photo_downloads import Downloads

            self._downloads = Downloads(max_bytes=MAX_DOWNLOAD_BYTES)
            self._fetchers = ThreadPoolExecutor(DOWNLOADS, "download")
        return self._fetchers.submit(self._take_url, item.location, known_digest)

    def __enter__(self) -> "PhotoWorkers":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._fetchers is not None:
            self._fetchers.shutdown(wait=False, cancel_futures=True)
        self._cores.shutdown(cancel_futures=True)
        if self._downloads is not None:
            self._downloads.close()

    def _take_file(self, path: Path, name: str, known_digest: str) -> Taken:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):  # a pipe or a device would block, or never end
            raise PhotoError(name, "not a file")
        if found.st_size > MAX_FILE_BYTES:
            raise PhotoError(name, f"larger than {MAX_FILE_BYTES:,} bytes")
        data = path.read_bytes()
        return self._embed(data, name, known_digest)

    def _take_url(self, url: str, known_digest: str) -> Taken:
        assert self._downloads is not None
        data = self._downloads.fetch(url)
        # Waiting here occupies this thread, which bounds the photos that are fetched but not yet embedded.
        return self._cores.submit(self._embed, data, url, known_digest).result()

    def _embed(self, data: bytes, name: str, known_digest: str) -> Taken:
        digest = digest_bytes(data)
        if digest == known_digest:
            return Taken(digest)
        embedded = self._embedder.embed_photo(data, name=name, thumbnail=self._thumbnail)
        return Taken(digest, embedded.vector, embedded.thumbnail)
