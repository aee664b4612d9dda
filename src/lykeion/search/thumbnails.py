"""Thumbnails of an index's photos, in one SQLite file that processes and threads may share.

A thumbnail can be recreated from its photo, so writes are atomic but not synchronised to disk at once.
"""

import errno
import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from lykeion.core import Unavailable, os_reason

FILE_NAME = "thumbnails.sqlite"
"""In the directory of a local index."""
SIDE = 192
"""Pixels of the longer side, or up to a third more."""
VERSION = 1
_APPLICATION = 0x4C794B54  # "LyKT", to recognise databases of other programs


_REFUSED = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
"""SQLite's errors for a disk that is read-only or full."""


class ThumbnailError(Unavailable):
    """The thumbnail file cannot be used."""


@dataclass(frozen=True, slots=True)
class ThumbnailPlace:
    """The location of an index's thumbnails: ``file``, else the directory of a local index, if they are ``kept``."""

    file: Path | None = None
    kept: bool = True

    def of(self, index: str | Path) -> Path | None:
        """The file of this index's thumbnails, or None."""
        if self.file is None and self.kept and "://" not in str(index):
            return Path(index) / FILE_NAME
        return self.file

    def reader(self, index: str | Path) -> Callable[[str, str], bytes | None]:
        """A function from id and photo name to the thumbnail or None."""
        file = self.of(index)
        return Thumbnails(file).get if file else lambda id, photo: None


IN_INDEX = ThumbnailPlace()
NO_THUMBNAILS = ThumbnailPlace(kept=False)


class Thumbnails:
    """JPEG thumbnails by product id and photo name. A missing file reads as empty; writing creates it.

    An ``immutable`` file is only read, without the files that SQLite makes beside one that may change.
    """

    def __init__(self, path: str | Path, *, immutable: bool = False) -> None:
        self.path, self._immutable = Path(path), immutable
        self._thread = threading.local()
        self._lock = threading.Lock()
        self._connections: list[sqlite3.Connection] = []

    def get(self, id: str, photo: str = "") -> bytes | None:
        """The thumbnail of a photo; of the product's first if ``photo`` is "" and no photo has that name."""
        query = "SELECT jpeg FROM thumbnail WHERE id = ? {} ORDER BY photo LIMIT 1"
        with self._reading() as database:
            if database is None:
                return None
            if photo:
                row = database.execute(query.format("AND photo = ?"), (id, photo)).fetchone()
            else:
                row = database.execute(query.format(""), (id,)).fetchone()
        return row[0] if row else None

    def put_many(self, thumbnails: Iterable[tuple[str, str, bytes]]) -> None:
        """Insert or replace (id, photo, JPEG) triples, all or none."""
        with self._writing() as database:
            database.executemany("INSERT OR REPLACE INTO thumbnail VALUES (?, ?, ?)", thumbnails)

    def delete(self, ids: Sequence[str], *, photos: Sequence[str] | None = None) -> None:
        """Delete the thumbnails of products, or with ``photos`` (one name per id) those of single photos."""
        if not self.path.exists():
            return
        with self._writing() as database:
            if photos is None:
                database.executemany("DELETE FROM thumbnail WHERE id = ?", [(id,) for id in ids])
            else:
                pairs = zip(ids, photos, strict=True)
                database.executemany("DELETE FROM thumbnail WHERE id = ? AND photo = ?", pairs)

    def copy_from(self, other: Path) -> None:
        """Copy all thumbnails of another file, replacing those of the same photos."""
        if not other.exists():
            return
        Thumbnails(other).check()
        with self._errors():
            database = self._kept() or self._open_to_write()
            database.execute("ATTACH ? AS other", (str(other),))
        try:
            with self._writing() as database:
                database.execute("INSERT OR REPLACE INTO thumbnail SELECT * FROM other.thumbnail")
        finally:
            database.execute("DETACH other")

    def check(self) -> None:
        """Raises ThumbnailError if the file exists and is not a thumbnail file."""
        with self._reading():
            pass

    def close(self) -> None:
        """Close the connections of all threads."""
        with self._lock:
            for connection in self._connections:
                connection.close()
            self._connections.clear()
        self._thread = threading.local()

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection | None]:
        with self._errors():
            yield (self._kept() or self._open_to_read()) if self.path.exists() else None

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._errors(), self._kept() or self._open_to_write() as database:
            database.execute("BEGIN IMMEDIATE")
            yield database

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ThumbnailError(os_reason(error, self.path)) from None
        except sqlite3.Error as error:
            raise ThumbnailError(f"{self.path}: {self._reason(error)}") from None

    def _reason(self, error: sqlite3.Error) -> str:
        """The cause of an error. SQLite does not distinguish well between a read-only and a full disk."""
        if _code(error) in _REFUSED:
            with suppress(OSError):
                system = os.statvfs(self.path.parent)
                if system.f_flag & os.ST_RDONLY:
                    return os.strerror(errno.EROFS)
                if not system.f_bavail or _code(error) == sqlite3.SQLITE_FULL:
                    return f"{os.strerror(errno.ENOSPC)}; make room"
        return f"{error}; if it is damaged, delete it and add the photos again"

    def _kept(self) -> sqlite3.Connection | None:
        """This thread's connection, if it has one."""
        return getattr(self._thread, "connection", None)

    def _keep(self, connection: sqlite3.Connection) -> sqlite3.Connection:
        self._thread.connection = connection
        with self._lock:
            self._connections.append(connection)
        return connection

    def _open_to_write(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        connection, _ = self._connect("rwc")
        with suppress(sqlite3.OperationalError):  # blocked by another connection: the next one to open sets it
            connection.execute("PRAGMA journal_mode = WAL")
        return self._keep(connection)

    def _open_to_read(self) -> sqlite3.Connection | None:
        """None if nothing has been written yet."""
        try:
            connection, version = self._connect("ro&immutable=1" if self._immutable else "rw")
        except sqlite3.OperationalError as error:
            if _code(error) not in _REFUSED:
                raise
            connection, version = self._connect("ro&immutable=1")  # a disk that cannot hold a shared-memory file
        if version:
            return self._keep(connection)
        connection.close()
        return None

    def _connect(self, mode: str) -> tuple[sqlite3.Connection, int]:
        """A connection, and the file's version: 0 if there is no table yet, which mode "rwc" creates."""
        uri = f"{self.path.absolute().as_uri()}?mode={mode}"
        connection = sqlite3.connect(uri, uri=True, timeout=60.0, check_same_thread=False, isolation_level=None)
        try:
            with connection:  # one transaction, since another process may be creating the file
                connection.execute("BEGIN IMMEDIATE" if mode == "rwc" else "BEGIN")
                version = self._version(connection)
                if version == 0 and mode == "rwc":
                    _make_table(connection)
            connection.execute("PRAGMA synchronous = NORMAL")
        except BaseException:
            connection.close()
            raise
        return connection, version

    def _version(self, connection: sqlite3.Connection) -> int:
        """The file's version; 0 if it is new. Raises ThumbnailError if it is not a thumbnail file, or too new."""
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if application != _APPLICATION and (application or tables):
            raise ThumbnailError(f"{self.path} is no file of thumbnails; name another")
        if version > VERSION:
            raise ThumbnailError(f"{self.path} was written by a newer lykeion (format {version}); upgrade to read it")
        return version


def _code(error: sqlite3.Error) -> int:
    """SQLite's primary result code; 0 for an error of Python's module."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _make_table(database: sqlite3.Connection) -> None:
    database.execute(
        "CREATE TABLE thumbnail (id TEXT NOT NULL, photo TEXT NOT NULL, jpeg BLOB NOT NULL, PRIMARY KEY (id, photo))"
    )
    database.execute(f"PRAGMA application_id = {_APPLICATION}")
    database.execute(f"PRAGMA user_version = {VERSION}")
