"""Deltas between versions of a file: the smallest of three, or none where it saves too little."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lykeion.core import digest_bytes
from lykeion.device import MAX_BSDIFF_BYTES, MAX_WINDOW_LOG, METHODS, Delta, apply_delta

SAVES = 0.2
"""The share of the full download that a delta must save."""
_LEVEL = 19


@dataclass(frozen=True)
class DeltaFile:
    delta: Delta
    content: bytes


def smallest_delta(base: bytes, new: bytes, download_bytes: int) -> DeltaFile | None:
    """``download_bytes`` is the size of the whole file as it is otherwise downloaded."""
    made = {method: content for method, content in every_delta(base, new).items() if content}
    if not made:
        return None
    method = min(made, key=lambda each: len(made[each]))
    content = made[method]
    if len(content) > (1 - SAVES) * download_bytes:
        return None
    apply_delta(method, base, content, size=len(new), digest=digest_bytes(new))
    return DeltaFile(Delta(digest_bytes(base), method, digest_bytes(content), len(content)), content)


def every_delta(base: bytes, new: bytes, methods: Sequence[str] = METHODS) -> dict[str, bytes]:
    """Deltas by method; those for which a file is too large are left out."""
    found: dict[str, bytes] = {}
    fits_window = len(base) + len(new) <= 1 << MAX_WINDOW_LOG
    if "zstd" in methods and fits_window:
        found["zstd"] = _zstd(new, base)
    if "subtract" in methods and fits_window:
        found["subtract"] = _zstd(_difference(base, new))
    if "bsdiff4" in methods and max(len(base), len(new)) <= MAX_BSDIFF_BYTES:
        import bsdiff4  # pyright: ignore[reportMissingImports]

        found["bsdiff4"] = bsdiff4.diff(base, new)
    return found


def _difference(base: bytes, new: bytes) -> bytes:
    shared = min(len(base), len(new))
    return (np.frombuffer(new, np.uint8)[:shared] - np.frombuffer(base, np.uint8)[:shared]).tobytes() + new[shared:]


def _zstd(content: bytes, base: bytes | None = None) -> bytes:
    import zstandard

    window = max(10, (len(content) + len(base or b"")).bit_length())
    settings = zstandard.ZstdCompressionParameters.from_level(
        _LEVEL, window_log=min(window, MAX_WINDOW_LOG), enable_ldm=base is not None, write_content_size=True
    )
    if base is None:
        return zstandard.ZstdCompressor(compression_params=settings).compress(content)
    dictionary = zstandard.ZstdCompressionDict(base, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    return zstandard.ZstdCompressor(dict_data=dictionary, compression_params=settings).compress(content)
