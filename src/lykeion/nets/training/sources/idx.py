"""The idx format of MNIST and its successors (yann.lecun.com/exdb/mnist): a header of sizes, then bytes."""

import gzip
import zlib
from math import prod
from pathlib import Path
from typing import IO, cast

import numpy as np

from lykeion.core import first_line
from lykeion.nets.training.errors import DataError

MAX_BYTES = 4 * 2**30
_UNSIGNED_BYTES = 8


def read_idx(path: Path, dimensions: int) -> np.ndarray:
    """uint8 with this many dimensions, from a plain or gzipped file. Raises DataError."""
    try:
        with _open(path) as file:
            header = file.read(4 + 4 * dimensions)
            if header[:4] != bytes((0, 0, _UNSIGNED_BYTES, dimensions)) or len(header) != 4 + 4 * dimensions:
                raise DataError(f"{path}: not an idx file of bytes in {dimensions} dimensions")
            shape = tuple(int(size) for size in np.frombuffer(header[4:], ">u4"))
            size = prod(shape)
            if size > MAX_BYTES:
                raise DataError(f"{path}: declares {size:,} bytes; at most {MAX_BYTES:,} are allowed")
            content = file.read(size + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read ({first_line(error)})") from None
    if len(content) != size:
        found = "fewer" if len(content) < size else "more"
        raise DataError(f"{path}: has {found} than the {size:,} bytes that its header says")
    return np.frombuffer(content, np.uint8).reshape(shape)


def _open(path: Path) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(path)) if path.suffix == ".gz" else path.open("rb")
