"""Layers uncompressed, or compressed by one version of one library, so that the same tar gives the same bytes."""

import gzip
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Literal, Protocol

from lykeion.core import Unsupported
from lykeion.oci import BlobWriter, media_types

from .tar import Sink

Compression = Literal["zstd", "none"]

LIBZSTD = (1, 5, 7)
LEVEL = 6


def compressor(compression: Compression) -> str:
    """Identifies the compressor for cache keys and provenance. Raises Unsupported if it is not available."""
    if compression == "none":
        return "none"
    _zstandard()
    return f"libzstd {'.'.join(map(str, LIBZSTD))} level {LEVEL}"


def media_type(compression: Compression) -> str:
    return media_types.LAYER_ZSTD if compression == "zstd" else media_types.LAYER


@contextmanager
def compressed(out: BlobWriter, compression: Compression) -> Generator[Sink]:
    """A writer that compresses to ``out``."""
    if compression == "none":
        yield out
        return
    context = _zstandard().ZstdCompressor(level=LEVEL, threads=0)  # one thread: the number changes the bytes
    writer = context.stream_writer(out, closefd=False)
    yield writer
    writer.flush(1)  # FLUSH_FRAME: the end


class Readable(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


def decompressed(file: Readable, layer_type: str) -> Readable:
    """A layer's tar, read from its blob. Raises Unsupported for an unknown media type.

    Reading damaged data raises OSError, EOFError or zlib.error.
    """
    if layer_type.endswith(("+gzip", ".gzip")):
        return gzip.GzipFile(fileobj=file)  # pyright: ignore[reportArgumentType]
    if layer_type.endswith("+zstd"):
        return _Zstd(file)
    if layer_type.endswith((".tar", "+tar")):
        return file
    raise Unsupported(f"a layer of type {layer_type} cannot be read; use a base with tar, gzip or zstd layers")


class _Zstd:
    def __init__(self, file: Readable) -> None:
        library = _zstandard()
        self._error: type[Exception] = library.ZstdError
        self._stream = library.ZstdDecompressor().stream_reader(file, read_across_frames=True)

    def read(self, size: int = -1, /) -> bytes:
        try:
            return self._stream.read(size)
        except self._error as error:
            raise OSError(str(error)) from None


def _zstandard() -> Any:
    try:
        import zstandard
    except ImportError:
        raise Unsupported("zstd layers need lykeion[images]; install it, or set `compression: none`") from None
    if zstandard.ZSTD_VERSION != LIBZSTD:
        wanted, found = (".".join(map(str, version)) for version in (LIBZSTD, zstandard.ZSTD_VERSION))
        raise Unsupported(
            f"zstandard has libzstd {found}, but layers need {wanted}; install zstandard 0.25, "
            "or set `compression: none`"
        )
    return zstandard
