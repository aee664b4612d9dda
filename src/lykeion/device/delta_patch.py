"""From a file that a device has, and a delta, to the new file: in bounded memory, whatever the delta says.

``zstd`` is a frame (RFC 8878) whose dictionary is the base file, as of ``zstd --patch-from``; ``subtract`` a frame of
the bytes' differences modulo 256, and of what the new file has beyond the base; ``bsdiff4`` is Percival's BSDIFF40.
"""

import bz2
import hashlib
import struct
from typing import TYPE_CHECKING

import numpy as np

from lykeion.core import first_line

from .errors import DeltaError
from .signed_target import MAX_FILE_BYTES

if TYPE_CHECKING:
    import zstandard

MAX_WINDOW_LOG = 27
"""128 MiB."""
MAX_BSDIFF_BYTES = 64 << 20
MAX_STEPS = 1 << 20
_BSDIFF, _STEP = struct.Struct("<8s3Q"), struct.Struct("<3Q")


def apply_delta(method: str, base: bytes, delta: bytes, *, size: int, digest: str) -> bytes:
    """The file of ``size`` bytes that has the ``digest``. Raises DeltaError for any other result."""
    if size > MAX_FILE_BYTES:
        raise DeltaError(f"a delta of a file with {size:,} bytes; at most {MAX_FILE_BYTES:,} are allowed")
    try:
        made = _METHODS[method](base, delta, size)
    except DeltaError:
        raise
    except MemoryError:
        raise DeltaError("not enough memory to apply the delta; fetch the whole file") from None
    except Exception as error:  # three libraries, each with errors of its own
        raise DeltaError(f"the delta ({method}) is damaged: {first_line(error)}") from None
    if len(made) != size or f"sha256:{hashlib.sha256(made).hexdigest()}" != digest:
        raise DeltaError(f"the delta ({method}) gives another file; fetch the whole one")
    return made


def _zstd(base: bytes, delta: bytes, size: int) -> bytes:
    import zstandard

    dictionary = zstandard.ZstdCompressionDict(base, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    return _frame(zstandard.ZstdDecompressor(dictionary, max_window_size=1 << MAX_WINDOW_LOG), delta, size)


def _subtract(base: bytes, delta: bytes, size: int) -> bytes:
    import zstandard

    made = np.frombuffer(
        _frame(zstandard.ZstdDecompressor(max_window_size=1 << MAX_WINDOW_LOG), delta, size), np.uint8
    )
    shared = min(len(base), len(made))
    return (made[:shared] + np.frombuffer(base, np.uint8)[:shared]).tobytes() + made[shared:].tobytes()


def _frame(decompressor: "zstandard.ZstdDecompressor", delta: bytes, size: int) -> bytes:
    """What a frame holds, of which not more than ``size`` bytes and one are made."""
    with decompressor.stream_reader(delta) as reader:
        made = reader.read(size + 1)
    if len(made) != size:
        raise DeltaError(f"the delta gives {'more' if len(made) > size else 'less'} than {size:,} bytes")
    return made


def _bsdiff4(base: bytes, delta: bytes, size: int) -> bytes:
    """Each step adds bytes of the base to differences, then takes some bytes as they are, then moves in the base."""
    magic, control_bytes, difference_bytes, made_bytes = _BSDIFF.unpack_from(delta)
    if magic != b"BSDIFF40" or made_bytes != size or size > MAX_BSDIFF_BYTES:
        raise DeltaError("the delta's header does not fit the file")
    parts = memoryview(delta)[_BSDIFF.size :]
    ends = control_bytes, control_bytes + difference_bytes
    control = _bz2(parts[: ends[0]], _STEP.size * min(size + 1, MAX_STEPS))
    differences, extras = (_array(_bz2(part, size)) for part in (parts[ends[0] : ends[1]], parts[ends[1] :]))
    old, made, done, at, used = _array(base), np.empty(size, np.uint8), 0, 0, 0
    for added, taken, move in _STEP.iter_unpack(control):
        if done + added + taken > size:
            raise DeltaError("the delta gives more than the file")
        made[done : done + added] = differences[done - used : done - used + added]
        first, last = max(at, 0), min(at + added, len(old))
        if first < last:
            made[done + first - at : done + last - at] += old[first:last]
        made[done + added : done + added + taken] = extras[used : used + taken]
        done, used, at = done + added + taken, used + taken, at + added + _signed(move)
    return made[:done].tobytes()


def _array(content: bytes) -> np.ndarray:
    return np.frombuffer(content, np.uint8)


def _bz2(stream: memoryview, most: int) -> bytes:
    decompressor = bz2.BZ2Decompressor()
    made = decompressor.decompress(stream, max_length=most + 1)
    if len(made) > most or not decompressor.eof:
        raise DeltaError("the delta unpacks to more than the file")
    return made


def _signed(number: int) -> int:
    """Of bsdiff: the highest bit is the sign."""
    return -(number & ~(1 << 63)) if number >> 63 else number


_METHODS = {"zstd": _zstd, "subtract": _subtract, "bsdiff4": _bsdiff4}
