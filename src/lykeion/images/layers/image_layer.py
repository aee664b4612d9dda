"""Layers: entries packed into a blob."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from lykeion.oci import Descriptor, Layout

from .compression import Compression, compressed, media_type
from .entries import TarEntry
from .tar import Sink, write_tar


@dataclass(frozen=True)
class ImageLayer:
    """``diff_id`` is the digest of the tar, before compression; ``title`` is its text in the history."""

    descriptor: Descriptor
    diff_id: str
    title: str


def pack(layout: Layout, entries: Iterable[TarEntry], compression: Compression, title: str) -> ImageLayer:
    """Write a layer into ``layout``. Raises ImageError."""
    with layout.writer() as blob, compressed(blob, compression) as out:
        digesting = _Digesting(out)
        write_tar(entries, digesting)
    return ImageLayer(blob.descriptor(media_type(compression)), digesting.digest, title)


class _Digesting:
    def __init__(self, out: Sink) -> None:
        self._out, self._hash = out, hashlib.sha256()

    def write(self, data: bytes) -> None:
        self._hash.update(data)
        self._out.write(data)

    @property
    def digest(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"
