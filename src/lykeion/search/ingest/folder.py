"""A folder of photos as a source."""

import os
from collections.abc import Iterator
from pathlib import Path

from lykeion.vision import looks_like_photo, of_the_system, photo_suffixes

from .photo_source import Failure, ListedPhoto, id_problem, printable


class Folder:
    """All photos below a folder; a photo's id is its path there, in POSIX form.

    Hidden files and folders, and those of the system such as ``__MACOSX``, are passed over, and so is what neither an
    extension nor its first bytes call a photo.
    A link to a file is taken if it stays inside the folder; links to folders are not followed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.skipped = 0
        self._suffixes = photo_suffixes()

    def __iter__(self) -> Iterator[ListedPhoto | Failure]:
        self.skipped = 0
        prefix = len(str(self.path).rstrip(os.sep)) + 1
        for entry in _files(self.path):
            if isinstance(entry, Failure):
                yield entry
            elif not self._is_photo(entry):
                self.skipped += 1
            else:
                id = entry.path[prefix:].replace(os.sep, "/")
                problem = id_problem(id) if printable(id) == id else "the name is not valid UTF-8; rename the file"
                yield (
                    Failure(printable(id), "", printable(id), problem)
                    if problem
                    else ListedPhoto(id, "", Path(entry.path))
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


def _files(root: Path) -> Iterator["os.DirEntry[str] | Failure"]:
    """Directory entries below a folder that are no folders and not hidden; a Failure for an unreadable folder."""
    folders = [str(root)]
    while folders:
        folder = folders.pop()
        below: list[str] = []
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if of_the_system(entry.name):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        below.append(entry.path)
                    else:
                        yield entry
        except OSError as error:
            yield Failure("", "", printable(folder), f"cannot read the folder: {error.strerror}")
        folders += sorted(below, reverse=True)
