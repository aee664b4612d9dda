"""Opening a source of photos: a folder, or a manifest that lists them."""

from collections.abc import Mapping
from pathlib import Path

from lykeion.search.index import ColumnType

from .folder import Folder
from .manifests import open_manifest
from .photo_source import PhotoSource, SourceError


def open_source(
    path: str | Path, *, types: Mapping[str, ColumnType] | None = None, root: str | Path | None = None
) -> PhotoSource:
    """A folder, or a CSV (.csv, .tsv), JSON Lines (.jsonl, .ndjson) or Parquet (.parquet) manifest.

    ``types`` declares columns of a manifest, ``root`` is the folder that its photos must be in (default: its own).
    Raises SourceError.
    """
    path = Path(path)
    if path.is_dir():
        if types or root:
            raise SourceError(f"{path} is a folder: column types and a root belong to a manifest")
        return Folder(path)
    if not path.is_file():
        raise SourceError(f"{path}: no such folder or manifest")
    return open_manifest(path, types or {}, Path(root) if root else path.parent)
