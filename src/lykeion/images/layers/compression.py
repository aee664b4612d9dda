"""Layers as they are, or compressed by one version of one library, so that the same tar gives the same bytes."""

import gzip
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, BinaryIO, Literal

from lykeion.core import Unsupported
from lykeion.oci import BlobWriter, media_types

from .tar import Sink

Compression = Literal["zstd", "none"]

LIBZSTD = (1, 5, 7)
LEVEL = 6


def compressor(compression: Compression) -> str:
    """What makes the bytes, for cache keys and the provenance. Raises Unsupported if it is not at hand."""
    if compression == "none":
        return "none"
    _zstandard()
    return f"libzstd {'.'.join(map(str, LIBZSTD))} level {LEVEL}"


def media_type(compression: Compression) -> str:
    return media_types.LAYER_ZSTD if compression == "zstd" else media_types.LAYER


@contextmanager
def compressed(out: BlobWriter, compression: Compression) -> Generator[Sink]:
    """A sink whose bytes come to ``out`` compressed."""
    if compression == "none":
        yield out
        return
    context = _zstandard().ZstdCompressor(level=LEVEL, threads=0)  # one thread: more give other bytes
    writer = context.stream_writer(out, closefd=False)
    yield writer
    writer.flush(1)  # FLUSH_FRAME: the end


def decompressed(file: BinaryIO, layer_type: str) -> BinaryIO:
    """A layer's tar, read from its blob. Raises Unsupported for an unknown media type."""
    if layer_type.endswith(("+gzip", ".gzip")):
        return gzip.open(file, "rb")  # pyright: ignore[reportReturnType]
    if layer_type.endswith("+zstd"):
        return _zstandard().ZstdDecompressor().stream_reader(file, read_across_frames=True)
    if layer_type.endswith((".tar", "+tar")):
        return file
    raise Unsupported(f"a layer of type {layer_type} cannot be read; use a base with tar, gzip or zstd layers")


def _zstandard() -> Any:
    try:
        import zstandard
    except ImportError:
        raise Unsupported("zstd layers need lykeion[images]; install it, or set `compression: none`") from None
    if zstandard.ZSTD_VERSION != LIBZSTD:
        wanted, found = (".".join(map(str, version)) for version in (LIBZSTD, zstandard.ZSTD_VERSION))
        raise Unsupported(
            f"zstandard brings libzstd {found}, and {wanted} makes our layers; install zstandard 0.25, "
            "or set `compression: none`"
        )
    return zstandard
