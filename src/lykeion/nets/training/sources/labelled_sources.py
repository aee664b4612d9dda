"""Sources of training data: a folder of photos, idx files, an npz file, or a manifest.

A source returns its unprocessed contents by split; nothing in it is trusted.
"""

from collections.abc import Callable
from pathlib import Path

from lykeion.nets.training.errors import DataError

from .labelled_arrays import read_idx_directory, read_npz_file
from .labelled_folder import read_folder
from .labelled_manifest import read_csv, read_json_lines
from .splits import LabelledSource

_READERS: dict[str, Callable[[Path], LabelledSource]] = {
    ".npz": read_npz_file,
    ".csv": read_csv,
    ".jsonl": read_json_lines,
}


def open_source(path: Path) -> LabelledSource:
    """The source at a path, by what it is. Raises DataError."""
    if path.is_dir():
        is_idx = any(path.glob("*-idx3-ubyte*"))
        return read_idx_directory(path) if is_idx else read_folder(path)
    reader = _READERS.get(path.suffix.lower())
    if reader is None or not path.is_file():
        raise DataError(f"{path}: neither a folder nor a file of {', '.join(_READERS)}")
    return reader(path)
