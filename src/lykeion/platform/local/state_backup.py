"""Copies of the platform's state: resources, the records of attempts, and logs if they are asked for.

A backup is a tar archive, compressed by gzip. The database is copied by SQLite while the platform may run, and before
the records: what the database knows of an attempt was recorded earlier.
"""

import asyncio
import gzip
import io
import os
import re
import shutil
import sqlite3
import tarfile
import tempfile
import zlib
from collections.abc import Generator
from contextlib import closing, suppress
from pathlib import Path
from typing import IO

from lykeion.control import AnyKind, SqliteStore
from lykeion.core import Conflict, Invalid, LykeionError, NotFound, Unavailable, writing

from .local_platform import locked

DATABASE = "state.db"
RECORDS = "work"
LIMIT_FILES = 1_000_000
LIMIT_RECORD_BYTES = 1 << 20
LIMIT_BYTES = 1 << 35
"""Of the database, and of any log."""
NOBODY = b"0 0 restored\n"
"""In place of the identity of a process: it belongs to the platform that was backed up, if it still runs."""
_LOG = re.compile(rf"{RECORDS}/[A-Za-z0-9-]{{1,63}}/[0-9]+-[0-9]+/log")
_RECORD = re.compile(
    rf"{RECORDS}/[A-Za-z0-9-]{{1,63}}/"
    r"([0-9]+-[0-9]+/((attempt|stop|end)\.json|started|exit|result)|peers-[0-9]+\.json)"
)
_PARTS = (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm", RECORDS, "volumes")


class BackupError(Unavailable):
    """A backup cannot be written."""


class NotABackup(Invalid):
    """A file is no backup, is damaged, or holds what does not belong there."""


class StateExists(Conflict):
    """A restored state would replace another."""


def back_up(directory: Path, file: Path, *, logs: bool = False) -> None:
    """Write the state of the platform in ``directory`` to ``file``. Raises NotFound, BackupError."""
    if not (directory / DATABASE).exists():
        raise NotFound(f"{directory} has no state of a platform")
    with writing(file, BackupError), tempfile.TemporaryDirectory(dir=file.absolute().parent) as temporary:
        made = Path(temporary, file.name)
        with tarfile.open(made, "x:gz", compresslevel=6) as archive:
            _copy_database(directory / DATABASE, Path(temporary, DATABASE))
            archive.add(Path(temporary, DATABASE), DATABASE)
            for path in sorted((directory / RECORDS).rglob("*")):
                name = path.relative_to(directory).as_posix()
                if _RECORD.fullmatch(name) or (logs and _LOG.fullmatch(name)):
                    _add(archive, path, name)
        made.chmod(0o600)  # it contains secrets
        made.replace(file)


def restore(directory: Path, file: Path, kinds: dict[str, AnyKind], *, force: bool = False) -> Path | None:
    """Make ``directory`` what it was at the backup. What ran then are attempts that were lost: none is adopted.

    With ``force``, a state that exists is moved aside; returns where it is then. Raises AlreadyRuns, StateExists,
    NotABackup, BackupError.
    """
    lock = locked(directory)
    try:
        if not force and any((directory / part).exists() for part in _PARTS):
            raise StateExists(f"{directory} has a state; move it aside with --force, or set LYKEION_HOME")
        with writing(directory, BackupError), tempfile.TemporaryDirectory(dir=directory) as temporary:
            _unpack(file, Path(temporary), kinds)
            aside = _move_aside(directory)
            for part in (RECORDS, DATABASE):
                if (path := Path(temporary, part)).exists():
                    path.rename(directory / part)
        if aside:
            _take_volumes_back(aside, directory)
        return aside
    finally:
        lock.release()


def _copy_database(source: Path, target: Path) -> None:
    try:
        with closing(sqlite3.connect(source)) as kept, closing(sqlite3.connect(target)) as copy:
            kept.backup(copy)
    except sqlite3.DatabaseError as error:
        raise BackupError(f"{source}: {error}") from None


def _add(archive: tarfile.TarFile, path: Path, name: str) -> None:
    """A plain file from its first byte that is kept, since large logs have holes; nothing if it is gone."""
    with suppress(FileNotFoundError, IsADirectoryError), open(path, "rb", opener=_open_plain) as file:
        begin, end = 0, file.seek(0, os.SEEK_END)
        with suppress(OSError, AttributeError):
            begin = os.lseek(file.fileno(), 0, os.SEEK_DATA)
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = end - begin, 0o600
        file.seek(begin)
        archive.addfile(entry, io.BytesIO(file.read(entry.size)))


def _open_plain(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def _unpack(file: Path, target: Path, kinds: dict[str, AnyKind]) -> None:
    """Write the files of a backup that nobody vouches for. Raises NotABackup."""
    try:
        with gzip.open(file) as stream, tarfile.open(fileobj=stream, mode="r:") as archive:
            for entry, content in _entries(archive, file):
                path = target / entry.name
                path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                with open(path, "xb", opener=_open_private) as written:
                    shutil.copyfileobj(io.BytesIO(NOBODY) if path.name == "started" else content, written)
            while stream.read(1 << 20):  # to its checksum
                pass
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, FileExistsError) as error:
        raise NotABackup(f"{file} is no backup of a platform, or is damaged ({error})") from None
    _check_database(target / DATABASE, file, kinds)


def _entries(archive: tarfile.TarFile, file: Path) -> Generator[tuple[tarfile.TarInfo, IO[bytes]]]:
    for count, entry in enumerate(archive):
        content = archive.extractfile(entry) if entry.isreg() else None
        large = entry.name == DATABASE or _LOG.fullmatch(entry.name)
        if content is None or count >= LIMIT_FILES or not (large or _RECORD.fullmatch(entry.name)):
            raise NotABackup(f"{file} is no backup of a platform: it holds {entry.name[:100]!r}")
        if entry.size > (LIMIT_BYTES if large else LIMIT_RECORD_BYTES):
            raise NotABackup(f"{file} is no backup of a platform: {entry.name} is too large")
        yield entry, content


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _check_database(path: Path, file: Path, kinds: dict[str, AnyKind]) -> None:
    """Read every resource. Raises NotABackup."""
    try:
        if not path.exists():
            raise NotABackup("it has no database")
        with closing(sqlite3.connect(path)) as database:
            (found,) = database.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise NotABackup(str(found))
        asyncio.run(_read_all(path, kinds))
    except (sqlite3.DatabaseError, LykeionError) as error:
        message = str(error).replace(str(path), DATABASE)
        raise NotABackup(f"{file} is no backup of a platform, or is damaged ({message})") from None


async def _read_all(path: Path, kinds: dict[str, AnyKind]) -> None:
    store = SqliteStore(path, kinds)
    try:
        for kind in kinds.values():
            for problem in (await store.listing(kind)).unreadable.values():
                raise NotABackup(problem)
    finally:
        await store.close()


def _move_aside(directory: Path) -> Path | None:
    parts = [directory / part for part in _PARTS if (directory / part).exists()]
    if not parts:
        return None
    aside = Path(tempfile.mkdtemp(prefix=f"{directory.name}-before-restore-", dir=directory.parent))
    for part in parts:
        part.rename(aside / part.name)
    return aside


def _take_volumes_back(aside: Path, directory: Path) -> None:
    """Those that restored resources use."""
    with closing(sqlite3.connect(directory / DATABASE)) as database:
        for (uid,) in database.execute("SELECT uid FROM objects WHERE kind = 'Volume'").fetchall():
            if re.fullmatch(r"[A-Za-z0-9-]{1,63}", uid) and (aside / "volumes" / uid).is_dir():
                (directory / "volumes").mkdir(mode=0o700, exist_ok=True)
                (aside / "volumes" / uid).rename(directory / "volumes" / uid)
