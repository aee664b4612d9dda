"""The digest of a directory's files, and whether they may have changed since it was computed."""

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from lykeion.core import NotFound, digest_bytes, digest_file
from lykeion.images.errors import ContextError
from lykeion.images.spec import EXCLUDED

MAX_FILES = 200_000


def directory_digest(directory: Path) -> str:
    """The digest of all that is in a directory: paths, kinds, modes and content. Raises ContextError, NotFound.

    What images never hold is left out, such as ``.git``.
    """
    lines = (repr((path, *_content(directory / path, status))) for path, status in _entries(directory))
    return digest_bytes("\n".join(lines).encode())


def directory_signature(directory: Path) -> str:
    """Cheap to compute, and another one whenever a file was written, added or removed. Raises as above."""
    signature = hashlib.sha256()
    for path, found in _entries(directory):
        facts = (path, found.st_mode, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)
        signature.update(repr(facts).encode())
    return signature.hexdigest()


def _content(path: Path, status: os.stat_result) -> tuple[int, str]:
    try:
        if stat.S_ISLNK(status.st_mode):
            return status.st_mode, str(path.readlink())
        return status.st_mode, digest_file(path) if stat.S_ISREG(status.st_mode) else ""
    except FileNotFoundError:
        return 0, ""
    except OSError as error:
        raise _unreadable(error) from None


def _entries(directory: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Files, links and directories, sorted, but for those that vanish meanwhile."""
    if not directory.is_dir():
        raise NotFound(f"{directory} is not a directory")
    found: list[Path] = []
    for place, directories, files in os.walk(directory, onerror=_refuse):
        directories[:] = [name for name in directories if not _is_excluded(name)]
        found += [Path(place, name) for name in (*directories, *files) if not _is_excluded(name)]
        if len(found) > MAX_FILES:
            raise ContextError(f"{directory} has more than {MAX_FILES:,} files")
    for path in sorted(found):
        with suppress(FileNotFoundError):
            yield str(path.relative_to(directory)), path.lstat()


def _refuse(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise _unreadable(error)


def _unreadable(error: OSError) -> ContextError:
    return ContextError(f"{error.filename}: cannot be read ({error.strerror})")


def _is_excluded(name: str) -> bool:
    return any(Path(name).match(pattern) for pattern in EXCLUDED)
