"""Where photos come from: a folder, or a manifest that lists them. Sources are read as streams, never held whole."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from lykeion.core import Invalid
from lykeion.search.index import MAX_ID_BYTES, Attributes
from lykeion.vision import looks_like_photo, photo_suffixes

if TYPE_CHECKING:
    from lykeion.search.index import ColumnType


class SourceError(Invalid):
    """The folder or manifest cannot be read as such."""


@dataclass(frozen=True, slots=True)
class Item:
    """One photo to take in. ``location`` is a file or an http(s) URL; ``photo`` its name within the product.

    ``attributes`` replace the product's; None leaves them as they are.
    """

    id: str
    photo: str
    location: Path | str
    attributes: Attributes | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """A photo that was not taken in. An empty ``id`` means that it is not known which product was meant."""

    id: str
    photo: str
    file: str
    cause: str


class Source(Protocol):
    """Photos to take in, and failures for what is listed but cannot be meant. Iterating again starts again."""

    skipped: int
    """Files passed over in the last iteration because they are no photos."""

    def __iter__(self) -> Iterator[Item | Failure]: ...

    def count(self) -> int:
        """About how many photos there are, for the time left. Reads the source once, fast."""
        ...


def open_source(
    path: str | Path, *, types: Mapping[str, "ColumnType"] | None = None, root: str | Path | None = None
) -> Source:
    """A folder, or a CSV (.csv, .tsv), JSON Lines (.jsonl, .ndjson) or Parquet (.parquet) manifest.

    ``types`` declares columns of a manifest, ``root`` is the folder that its photos must lie in (default: its own).
    Raises SourceError.
    """
    path = Path(path)
    if path.is_dir():
        if types or root:
            raise SourceError(f"{path} is a folder: column types and a root belong to a manifest")
        return Folder(path)
    if not path.is_file():
        raise SourceError(f"{path}: no such folder or manifest")
    from .manifests import open_manifest

    return open_manifest(path, types or {}, Path(root) if root else path.parent)


class Folder:
    """All photos below a folder; a photo's id is its path there, in POSIX form.

    Hidden files and folders are passed over, and so is what neither an extension nor its first bytes call a photo.
    A link to a file is taken if it stays inside the folder; links to folders are not followed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.skipped = 0
        self._suffixes = photo_suffixes()

    def __iter__(self) -> Iterator[Item | Failure]:
        self.skipped = 0
        prefix = len(str(self.path).rstrip(os.sep)) + 1
        for entry in _files(self.path):
            if isinstance(entry, Failure):
                yield entry
            elif not self._is_photo(entry):
                self.skipped += 1
            else:
                id = entry.path[prefix:].replace(os.sep, "/")
                problem = id_problem(id)
                yield (
                    Failure(printable(id), "", printable(id), problem) if problem else Item(id, "", Path(entry.path))
                )

    def count(self) -> int:
        return sum(not isinstance(entry, Failure) and self._is_named_as_photo(entry) for entry in _files(self.path))

    def _is_photo(self, entry: os.DirEntry[str]) -> bool:
        try:
            if entry.is_symlink() and not Path(entry.path).resolve().is_relative_to(self.path):
                return False
            if not entry.is_file():
                return False
            if self._is_named_as_photo(entry):
                return True
            with Path(entry.path).open("rb") as file:
                return looks_like_photo(file.read(16))
        except (OSError, RuntimeError):  # a loop of links
            return False

    def _is_named_as_photo(self, entry: os.DirEntry[str]) -> bool:
        return Path(entry.name).suffix.lower() in self._suffixes


def id_problem(id: str) -> str:
    """Why this cannot be an id; empty if it can."""
    try:
        size = len(id.encode())
    except UnicodeEncodeError:
        return "the name is not valid UTF-8; rename the file"
    if not size:
        return "the id is empty"
    return f"the id has {size} bytes; at most {MAX_ID_BYTES} are allowed" if size > MAX_ID_BYTES else ""


def printable(text: str) -> str:
    """The text with what UTF-8 cannot write replaced, for reports."""
    return text.encode(errors="replace").decode()


def _files(root: Path) -> Iterator["os.DirEntry[str] | Failure"]:
    """Directory entries below a folder that are no folders and not hidden; a Failure for an unreadable folder."""
    folders = [str(root)]
    while folders:
        folder = folders.pop()
        below: list[str] = []
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        below.append(entry.path)
                    else:
                        yield entry
        except OSError as error:
            yield Failure("", "", printable(folder), f"cannot read the folder: {error.strerror}")
        folders += sorted(below, reverse=True)
