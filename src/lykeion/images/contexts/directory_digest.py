"""The digest of a directory's files, and whether they may have changed since it was computed."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from lykeion.core import NotFound, digest_bytes, digest_file
from lykeion.images.errors import ContextError
from lykeion.images.spec import EXCLUDED

MAX_FILES = 200_000


def directory_digest(directory: Path) -> str:
    """The digest of all files, by path, kind, permission to execute and content. Raises ContextError, NotFound.

    What images never hold is left out, such as ``.git``.
    """
    lines = (repr((path, *_content(directory / path))) for path in _paths(directory))
    return digest_bytes("\n".join(lines).encode())


def directory_signature(directory: Path) -> str:
    """Cheap to compute, and another one whenever a file was written, added or removed. Raises as above."""
    signature = hashlib.sha256()
    for path in _paths(directory):
        found = (directory / path).lstat()
        facts = (path, found.st_mode, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)
        signature.update(repr(facts).encode())
    return signature.hexdigest()


def _content(path: Path) -> tuple[str, str]:
    try:
        if path.is_symlink():
            return "link", str(path.readlink())
        return "program" if os.access(path, os.X_OK) else "file", digest_file(path) if path.is_file() else ""
    except OSError as error:
        raise ContextError(f"{path}: cannot be read ({error.strerror})") from None


def _paths(directory: Path) -> Iterator[str]:
    """Paths of all files and links, sorted."""
    if not directory.is_dir():
        raise NotFound(f"{directory} is not a directory")
    found: list[str] = []
    for place, directories, files in os.walk(directory):
        directories[:] = [name for name in directories if not _is_excluded(name)]
        links = [name for name in directories if Path(place, name).is_symlink()]
        found += [
            os.path.relpath(Path(place, name), directory) for name in (*links, *files) if not _is_excluded(name)
        ]
        if len(found) > MAX_FILES:
            raise ContextError(f"{directory} has more than {MAX_FILES:,} files")
    return iter(sorted(found))


def _is_excluded(name: str) -> bool:
    return any(Path(name).match(pattern) for pattern in EXCLUDED)
