"""The SQLite file of a store: its tables, how it is opened, and its errors."""

import os
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from lykeion.core import Unavailable

_FORMAT = 1
_APPLICATION_ID = 0x4C594B43
_TABLES = """
CREATE TABLE objects (
    kind TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, uid TEXT NOT NULL UNIQUE, owner TEXT NOT NULL,
    document TEXT NOT NULL, PRIMARY KEY (kind, namespace, name)
) WITHOUT ROWID;
CREATE INDEX owners ON objects (owner);
CREATE TABLE changes (
    version INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, type TEXT NOT NULL, document TEXT NOT NULL
);
CREATE TABLE events (
    number INTEGER PRIMARY KEY, uid TEXT NOT NULL, at TEXT NOT NULL, type TEXT NOT NULL, reason TEXT NOT NULL,
    message TEXT NOT NULL
);
CREATE INDEX events_of ON events (uid, number);
"""


class ResourceStoreError(Unavailable):
    """The store's file cannot be read or written, or is not such a file."""


def open_database(path: Path) -> sqlite3.Connection:
    """For the calling thread; the file is made if it is missing. Raises ResourceStoreError."""
    with store_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))  # it contains secrets
        database = sqlite3.connect(path, isolation_level=None, check_same_thread=True)
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=FULL")
        database.execute("BEGIN IMMEDIATE")
        (kept,) = database.execute("PRAGMA application_id").fetchone()
        (format_,) = database.execute("PRAGMA user_version").fetchone()
        if (kept, format_) == (0, 0) and not database.execute("SELECT 1 FROM sqlite_schema").fetchone():
            for statement in _TABLES.split(";"):
                database.execute(statement)
            database.execute(f"PRAGMA application_id={_APPLICATION_ID}")
            database.execute(f"PRAGMA user_version={_FORMAT}")
        elif kept != _APPLICATION_ID:
            raise ResourceStoreError(f"{path} is not a file of the platform's resources")
        elif format_ != _FORMAT:
            raise ResourceStoreError(f"{path} has format {format_}; this version reads {_FORMAT}")
        database.execute("COMMIT")
        return database


@contextmanager
def store_errors(path: Path) -> Generator[None]:
    """Errors of the database and the system as ResourceStoreError."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise ResourceStoreError(f"{path}: {error}") from None
    except OSError as error:
        raise ResourceStoreError(f"{path}: {error.strerror or error}") from None
