"""Writing the vectors of a segment in another order than they are read in, for any number of vectors.

Reading tens of gigabytes at random is slow once they do not fit in memory. So larger files are written by an external
bucket sort: one pass over the source appends each row to the bucket of its part of the target, and each bucket, small
enough for memory, is then put in order. Everything is read and written in sequence, twice.
"""

import tempfile
from pathlib import Path
from typing import BinaryIO

import numpy as np

from .codes import Vectors

BUCKET_BYTES = 512 << 20
"""Memory that one bucket may take; a file up to this size is gathered directly."""
_CHUNK = 16_384


def write_vectors(path: Path, vectors: Vectors, order: np.ndarray) -> None:
    """Write ``vectors[order]``; ``order`` is a permutation of the rows. Buckets are temporary files next to it."""
    rows_per_bucket = max(BUCKET_BYTES // (vectors.dtype.itemsize * vectors.shape[1]), 1)
    with path.open("wb") as file:
        if len(order) <= rows_per_bucket:
            for start in range(0, len(order), _CHUNK):
                file.write(vectors[order[start : start + _CHUNK]].data)  # not tofile, which hides the cause of errors
            return
        with tempfile.TemporaryDirectory(dir=path.parent, prefix="buckets-") as directory:
            buckets = _distribute(Path(directory), vectors, order, rows_per_bucket)
            for number, bucket in enumerate(buckets):
                wanted = order[number * rows_per_bucket : (number + 1) * rows_per_bucket]
                rows = np.fromfile(bucket, vectors.dtype).reshape(len(wanted), vectors.shape[1])
                bucket.unlink()
                file.write(
                    rows[np.searchsorted(np.sort(wanted), wanted)].data
                )  # a bucket's rows are in ascending order


def _distribute(directory: Path, vectors: Vectors, order: np.ndarray, rows_per_bucket: int) -> list[Path]:
    bucket_of = np.empty(len(order), np.int32)
    bucket_of[order] = np.arange(len(order)) // rows_per_bucket
    paths = [directory / str(number) for number in range(int(bucket_of.max()) + 1)]
    files: list[BinaryIO] = []
    try:
        files += [path.open("wb") for path in paths]
        for start in range(0, len(order), _CHUNK):
            chunk, buckets = vectors[start : start + _CHUNK], bucket_of[start : start + _CHUNK]
            for number in np.unique(buckets).tolist():
                files[number].write(chunk[buckets == number].data)
    finally:
        for file in files:
            file.close()
    return paths
