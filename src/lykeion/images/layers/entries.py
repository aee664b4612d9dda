"""Entries of a layer: files, directories and links, without anything that differs between machines."""

import fnmatch
import io
import os
import stat
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Literal

from lykeion.images.errors import ImageError

Kind = Literal["file", "directory", "symlink", "hardlink"]

WHITEOUT = ".wh."
"""Prefix of names that delete a file of a lower layer (image-spec, layer.md); not allowed for files of ours."""

LIMIT_DEPTH = 256
FILE_MODE, PROGRAM_MODE, DIRECTORY_MODE = 0o644, 0o755, 0o755


@dataclass(frozen=True)
class TarEntry:
    """``path`` is relative to the image's root, without . or ..; ``target`` is a link's.

    Names that are not UTF-8 are kept by surrogate escapes, whatever the locale.
    """

    path: str
    kind: Kind
    mode: int = FILE_MODE
    size: int = 0
    target: str = ""
    open: Callable[[], BinaryIO] = io.BytesIO


def file_entry(path: str, content: bytes, *, program: bool = False) -> TarEntry:
    mode = PROGRAM_MODE if program else FILE_MODE
    return TarEntry(path, "file", mode, len(content), open=lambda: io.BytesIO(content))


def directory_entry(path: str) -> TarEntry:
    return TarEntry(path, "directory", DIRECTORY_MODE)


def symlink_entry(path: str, target: str) -> TarEntry:
    return TarEntry(path, "symlink", 0o777, target=target)


def with_directories(entries: Sequence[TarEntry], root: str, known: Container[str] = ()) -> list[TarEntry]:
    """The entries, and their parent directories below ``root`` that are missing in them and in ``known``."""
    parents = {str(parent) for entry in entries for parent in PurePosixPath(entry.path).parents}
    below = {parent for parent in parents if not root or parent == root or parent.startswith(f"{root}/")}
    there = {entry.path for entry in entries if entry.kind == "directory"}
    missing = sorted(parent for parent in below - there - {"."} if parent not in known)
    return [*entries, *map(directory_entry, missing)]


def source_entries(origin: Path, to: str, exclude: Sequence[str]) -> list[TarEntry]:
    """A file, or a directory with its contents, at ``to``: modes 0644 and 0755, links only to targets inside.

    ``exclude`` has shell patterns that are matched against names and against paths from ``origin``.
    Raises ImageError for links that lead outside, and for anything but files, directories and links.
    """
    if not origin.is_dir():
        return [_normal(_read(origin, to))]
    entries = [directory_entry(to)] if to else []
    for path, full in _walk(origin, "", exclude):
        entry = _read(full, path)
        if entry.kind == "symlink":
            _check_inside(origin, path, entry.target)
        entries.append(_normal(replace(entry, path=f"{to}/{path}".lstrip("/"))))
    return entries


def rootfs_entries(root: Path) -> list[TarEntry]:
    """A root file system without devices, sockets and pipes. Modes are kept; everything is owned by root."""
    entries: list[TarEntry] = []
    first: dict[tuple[int, int], str] = {}  # of the hard links of one file
    for path, full in _walk(root, "", ()):
        status = full.lstat()
        if stat.S_IFMT(status.st_mode) not in (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK):
            continue
        entry = _read(full, path)
        original = first.setdefault((status.st_dev, status.st_ino), path)
        if entry.kind == "file" and original != path:
            entry = TarEntry(path, "hardlink", entry.mode, target=original)
        entries.append(entry)
    return entries


def _walk(root: Path, prefix: str, exclude: Sequence[str]) -> Iterator[tuple[str, Path]]:
    """Paths from ``root``, sorted, and their locations; a directory before its contents."""
    try:
        names = sorted((_canonical(full.name), full) for full in root.iterdir())
    except OSError as error:
        raise ImageError(f"{root} cannot be read: {error.strerror}") from None
    for name, full in names:
        path = f"{prefix}{name}"
        if any(fnmatch.fnmatchcase(part, pattern) for pattern in exclude for part in (name, path)):
            continue
        yield path, full
        if full.is_dir() and not full.is_symlink():
            yield from _walk(full, f"{path}/", exclude)


def _read(full: Path, path: str) -> TarEntry:
    try:
        status = full.lstat()
        if stat.S_ISLNK(status.st_mode):
            return symlink_entry(path, _canonical(str(full.readlink())))
    except OSError as error:
        raise ImageError(f"{full} cannot be read: {error.strerror}") from None
    mode = stat.S_IMODE(status.st_mode)
    if stat.S_ISDIR(status.st_mode):
        return TarEntry(path, "directory", mode)
    if stat.S_ISREG(status.st_mode):
        return TarEntry(path, "file", mode, status.st_size, open=lambda: full.open("rb"))
    raise ImageError(f"{full} is neither a file, a directory nor a link; exclude it by `exclude`")


def _normal(entry: TarEntry) -> TarEntry:
    if entry.kind == "directory":
        return replace(entry, mode=DIRECTORY_MODE)
    if entry.kind == "file":
        return replace(entry, mode=PROGRAM_MODE if entry.mode & stat.S_IXUSR else FILE_MODE)
    return entry


def _check_inside(origin: Path, path: str, target: str) -> None:
    depth = len(PurePosixPath(path).parts) - 1
    for part in PurePosixPath(target).parts:
        depth += -1 if part == ".." else 1
        if depth < 0 or part == "/":
            raise ImageError(f"{origin}/{path} is a link to {target}, outside of {origin}; copy its target")


def _canonical(name: str) -> str:
    """A name as UTF-8 with surrogate escapes, whatever the locale's encoding."""
    return os.fsencode(name).decode("utf-8", "surrogateescape")
