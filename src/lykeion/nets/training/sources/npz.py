"""Reading untrusted npz files: no pickle, a size limit, one kind of error."""

import zipfile
import zlib
from collections.abc import Collection
from pathlib import Path

import numpy as np

from lykeion.core import first_line

MAX_BYTES = 4 * 2**30
_DAMAGED = (
    *(OSError, ValueError, KeyError, EOFError, MemoryError, RuntimeError, SyntaxError),
    *(zipfile.BadZipFile, zlib.error),
)
"""Exceptions of zipfile and NumPy for a file that is damaged, encrypted, or has wrong sizes."""


class NpzError(ValueError):
    """Why a file cannot be read, in one line without its name."""


def read_npz(path: Path, names: Collection[str] | None = None) -> dict[str, np.ndarray]:
    """The file's arrays, or those of these ``names`` that it has. Raises NpzError."""
    try:
        with zipfile.ZipFile(path) as archive:
            if (size := sum(member.file_size for member in archive.infolist())) > MAX_BYTES:
                raise NpzError(f"unpacks to {size:,} bytes; at most {MAX_BYTES:,} are allowed")
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files if names is None or name in names}
    except NpzError:
        raise
    except _DAMAGED as error:
        raise NpzError(first_line(error)) from None
