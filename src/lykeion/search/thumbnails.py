"""Thumbnails of an index's photos, in one SQLite file that processes and threads may share.

A thumbnail can be made again from its photo, so writes are atomic but reach the disk when SQLite finds it fit.
"""

import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lykeion.core import Unavailable

FILE_NAME = "thumbnails.sqlite"
"""In the directory of a local index."""
SIDE = 192
"""Pixels of the longer side, or up to a third more."""
VERSION = 1
_APPLICATION = 0x4C794B54  # "LyKT", so that another program's database is not taken for ours


class ThumbnailError(Unavailable):
    """The thumbnail file cannot be used."""


class Thumbnails:
    """JPEG thumbnails by product id and photo name. A file that is not there reads as empty; writing makes it."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
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
        """Delete those of products, or with ``photos`` (one name an id) of single photos."""
        if not self.path.exists():
            return
        with self._writing() as database:
            if photos is None:
                database.executemany("DELETE FROM thumbnail WHERE id = ?", [(id,) for id in ids])
            else:
                pairs = zip(ids, photos, strict=True)
                database.executemany("DELETE FROM thumbnail WHERE id = ? AND photo = ?", pairs)

    def copy_from(self, other: Path) -> None:
        """Take over all thumbnails of another file, replacing those of the same photos."""
        if not other.exists():
            return
        Thumbnails(other).check()
        database = self._connection(create=True)
        with self._errors():
            database.execute("ATTACH ? AS other", (str(other),))
        try:
            with self._writing() as database:
                database.execute("INSERT OR REPLACE INTO thumbnail SELECT * FROM other.thumbnail")
        finally:
            database.execute("DETACH other")

    def check(self) -> None:
        """Raises ThumbnailError if the file is there and not one of ours."""
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
            yield self._connection() if self.path.exists() else None

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._errors(), self._connection(create=True) as database:
            database.execute("BEGIN IMMEDIATE")
            yield database

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise ThumbnailError(
                f"{self.path}: {error}; if it is damaged, delete it and add the photos again"
            ) from None

    def _connection(self, *, create: bool = False) -> sqlite3.Connection:
        """This thread's connection."""
        connection = getattr(self._thread, "connection", None)
        if connection is None:
            connection = self._open(create)
            self._thread.connection = connection
            with self._lock:
                self._connections.append(connection)
        return connection

    def _open(self, create: bool) -> sqlite3.Connection:
        if create:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        connection = self._connect("rwc" if create else "rw")
        try:
            version = self._version(connection)
        except sqlite3.OperationalError:  # a read-only disk has no place for SQLite's shared memory
            connection.close()
            connection = self._connect("ro&immutable=1")
            version = self._version(connection)
        if version == 0 and create:
            connection.execute("PRAGMA journal_mode = WAL")
            with connection:
                connection.execute("BEGIN IMMEDIATE")
                connection.execute(
                    "CREATE TABLE IF NOT EXISTS thumbnail "
                    "(id TEXT NOT NULL, photo TEXT NOT NULL, jpeg BLOB NOT NULL, PRIMARY KEY (id, photo))"
                )
                connection.execute(f"PRAGMA application_id = {_APPLICATION}")
                connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("PRAGMA synchronous = NORMAL")
        return connection

    def _connect(self, mode: str) -> sqlite3.Connection:
        uri = f"{self.path.absolute().as_uri()}?mode={mode}"
        return sqlite3.connect(uri, uri=True, timeout=60.0, check_same_thread=False, isolation_level=None)

    def _version(self, connection: sqlite3.Connection) -> int:
        """Of the file; 0 if it is new. Raises ThumbnailError if it is not ours or newer than this program."""
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if application != _APPLICATION and (application or tables):
            connection.close()
            raise ThumbnailError(f"{self.path} is no file of thumbnails; name another")
        if version > VERSION:
            connection.close()
            raise ThumbnailError(f"{self.path} was written by a newer lykeion (format {version}); upgrade to read it")
        return version


def thumbnails_path(index: str | Path, choice: bool | str | Path = True) -> Path | None:
    """The file of an index's thumbnails: in its directory if it is local, or where ``choice`` says; None for none."""
    if isinstance(choice, bool):
        return Path(index) / FILE_NAME if choice and "://" not in str(index) else None
    return Path(choice)


def reader(index: str | Path, choice: bool | str | Path = True) -> Callable[[str, str], bytes | None]:
    """A function from id and photo name to the thumbnail, if there is one."""
    file = thumbnails_path(index, choice)
    return Thumbnails(file).get if file else lambda id, photo: None
