"""A folder of photos as a source."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from lykeion.search.index import ColumnType
from lykeion.vision import looks_like_photo, of_the_system, photo_suffixes

from .photo_source import Entry, Failure, ListedPhoto, Skipped, id_problem, printable


class Folder:
    """All photos below a folder; a photo's id is its relative path in POSIX form.

    Hidden files and folders are skipped, those of the system such as ``__MACOSX``, and files that neither their
    extension nor their first bytes identify as photos.
    A link to a file is followed if it stays inside the folder; links to folders are not.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self._suffixes = photo_suffixes()

    def __iter__(self) -> Iterator[Entry]:
        for entry in self._files():
            yield self._entry(entry) if isinstance(entry, os.DirEntry) else entry

    def _entry(self, file: "os.DirEntry[str]") -> Entry:
        id = self._relative(file)
        if cause := self._why_skipped(file):
            return Skipped(printable(id), cause)
        problem = id_problem(id) if printable(id) == id else "the name is not valid UTF-8; rename the file"
        return Failure(printable(id), "", printable(id), problem) if problem else ListedPhoto(id, "", Path(file.path))

    def fit(self, columns: Mapping[str, ColumnType]) -> list[str]:
        return []  # a folder has no attributes

    def count(self) -> int:
        return sum(isinstance(entry, os.DirEntry) and self._is_named_as_photo(entry) for entry in self._files())

    def _why_skipped(self, file: "os.DirEntry[str]") -> str:
        """The reason; empty if the file is not skipped."""
        try:
            if file.is_symlink():
                if cause := self._why_not_followed(Path(file.path)):
                    return cause
            elif not file.is_file():
                return "not a file"
            if self._is_named_as_photo(file):
                return ""
            with Path(file.path).open("rb") as opened:
                return "" if looks_like_photo(opened.read(16)) else "not a photo by its name or its first bytes"
        except OSError as error:
            return f"cannot be read: {error.strerror}"

    def _why_not_followed(self, link: Path) -> str:
        try:
            target = link.resolve(strict=True)
        except (OSError, RuntimeError):  # RuntimeError: a loop, before Python 3.13
            return "a broken link"
        if not target.is_relative_to(self.path):
            return "a link that leaves the folder"
        if target.is_dir():
            return "a link to a folder"
        return "" if target.is_file() else "not a file"

    def _is_named_as_photo(self, entry: os.DirEntry[str]) -> bool:
        return Path(entry.name).suffix.lower() in self._suffixes

    def _relative(self, entry: "os.DirEntry[str]") -> str:
        return entry.path[len(str(self.path).rstrip(os.sep)) + 1 :].replace(os.sep, "/")

    def _files(self) -> Iterator["os.DirEntry[str] | Failure | Skipped"]:
        """All entries but folders; Skipped for hidden and system entries, a Failure for an unreadable folder."""
        folders = [str(self.path)]
        while folders:
            folder = folders.pop()
            below: list[str] = []
            try:
                with os.scandir(folder) as entries:
                    for entry in entries:
                        if of_the_system(entry.name):
                            yield Skipped(printable(self._relative(entry)), "hidden, or of the system")
                        elif entry.is_dir(follow_symlinks=False):
                            below.append(entry.path)
                        else:
                            yield entry
            except OSError as error:
                yield Failure("", "", printable(folder), f"cannot read the folder: {error.strerror}")
            folders += sorted(below, reverse=True)
