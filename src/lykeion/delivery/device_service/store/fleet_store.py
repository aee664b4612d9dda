"""What is known of each device, in one SQLite file that several processes may use. The SQL is PostgreSQL's too.

Secrets are kept as digests. Times are seconds since 1970, of the server's clock: those of devices are not trusted.
"""

import sqlite3
import threading
import uuid
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from lykeion.core import Invalid, Unavailable
from lykeion.delivery.device_sessions import COMMAND_ENDS, PRESENCE_TABLES, SESSION_TABLES
from lykeion.delivery.flags import FLAG_TABLES

_APPLICATION_ID = 0x4C594B46
_BUSY_S = 10.0
_TOGETHER = (256, 64, 16, 4, 1)
"""Rows of one statement; SQLite takes 32,766 values, PostgreSQL 65,535."""
_DEVICES = (
    """CREATE TABLE devices (
        id TEXT PRIMARY KEY, public_key TEXT NOT NULL UNIQUE, token TEXT NOT NULL, state TEXT NOT NULL,
        enrolled_at REAL NOT NULL, seen_at REAL NOT NULL, software TEXT NOT NULL, runtime TEXT NOT NULL,
        attributes TEXT NOT NULL, renewed_at INTEGER NOT NULL, clone_at REAL
    )""",
    """CREATE TABLE credentials (
        digest TEXT PRIMARY KEY, device TEXT NOT NULL, expires REAL NOT NULL, replaced_at REAL, used_at REAL
    )""",
    "CREATE INDEX credentials_of ON credentials (device)",
    """CREATE TABLE enrolment_tokens (
        digest TEXT PRIMARY KEY, expires REAL NOT NULL, uses_left INTEGER NOT NULL, note TEXT NOT NULL
    )""",
    """CREATE TABLE models (
        device TEXT NOT NULL, model TEXT NOT NULL, running INTEGER NOT NULL, file TEXT NOT NULL, step TEXT NOT NULL,
        failed INTEGER NOT NULL, cause TEXT NOT NULL, since REAL NOT NULL, PRIMARY KEY (device, model)
    )""",
    """CREATE TABLE events (
        device TEXT NOT NULL, number BIGINT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, model TEXT NOT NULL,
        at REAL NOT NULL, sent_at REAL NOT NULL, fields TEXT NOT NULL,
        PRIMARY KEY (device, number, sent_at)
    )""",
    "CREATE INDEX events_by_name ON events (model, name, at)",
    """CREATE TABLE dropped_events (
        device TEXT NOT NULL, kind TEXT NOT NULL, events BIGINT NOT NULL, PRIMARY KEY (device, kind)
    )""",
    """CREATE TABLE pins (
        device TEXT NOT NULL, model TEXT NOT NULL, version INTEGER NOT NULL, PRIMARY KEY (device, model)
    )""",
    """CREATE TABLE silences (
        rollout TEXT NOT NULL, device TEXT NOT NULL, at REAL NOT NULL, PRIMARY KEY (rollout, device)
    )""",
    "CREATE TABLE audit (at REAL NOT NULL, who TEXT NOT NULL, what TEXT NOT NULL)",
)
_LOOKS = (
    "ALTER TABLE events ADD COLUMN version INTEGER",
    """CREATE TABLE firsts (
        rollout TEXT NOT NULL, measure TEXT NOT NULL, device TEXT NOT NULL, at REAL NOT NULL, value REAL,
        PRIMARY KEY (rollout, measure, device)
    )""",
    "INSERT INTO firsts SELECT rollout, 'silence', device, at, NULL FROM silences",
    "DROP TABLE silences",
    "DROP TABLE dropped_events",
    """CREATE TABLE dropped_events (
        device TEXT NOT NULL, counter TEXT NOT NULL, kind TEXT NOT NULL, events BIGINT NOT NULL,
        at REAL NOT NULL, PRIMARY KEY (device, counter, kind)
    )""",
    """CREATE TABLE event_days (
        device TEXT NOT NULL, day INTEGER NOT NULL, events BIGINT NOT NULL, bytes BIGINT NOT NULL,
        refused BIGINT NOT NULL, PRIMARY KEY (device, day)
    )""",
    """CREATE TABLE told (
        device TEXT NOT NULL, model TEXT NOT NULL, version INTEGER NOT NULL, since REAL NOT NULL,
        PRIMARY KEY (device, model)
    )""",
    """CREATE TABLE device_logs (
        device TEXT PRIMARY KEY, asked BIGINT NOT NULL, lines INTEGER NOT NULL, asked_at REAL NOT NULL,
        answered BIGINT NOT NULL, answered_at REAL, log TEXT NOT NULL
    )""",
)
_IDENTITY = ("CREATE TABLE fleet (number INTEGER PRIMARY KEY, id TEXT NOT NULL)",)
MIGRATIONS = (_DEVICES, FLAG_TABLES, SESSION_TABLES, _LOOKS, _IDENTITY, (*COMMAND_ENDS, *PRESENCE_TABLES))
"""By which a file of format N becomes one of format N + 1; 0 is an empty file."""


class FleetStoreError(Unavailable):
    """The fleet's file cannot be read or written, or is not such a file."""


class BadValue(Invalid):
    """What a store cannot keep, such as a number that is none."""


class FleetStore:
    """The file is made if it is missing. Safe among threads. Every method raises FleetStoreError."""

    def __init__(self, path: Path) -> None:
        self._path, self._turn = path, threading.Lock()
        with self._errors():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._base = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
            path.chmod(0o600)
            self._open()

    def close(self) -> None:
        with self._turn:
            self._base.close()

    @contextmanager
    def transaction(self) -> Generator["FleetTransaction"]:
        """All changes, or none if an error leaves the block. On disk when the block has ended."""
        with self._turn, self._errors():
            self._base.execute("BEGIN IMMEDIATE")
            try:
                yield FleetTransaction(self._base)
            except BaseException:
                self._base.execute("ROLLBACK")
                raise
            self._base.execute("COMMIT")

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[sqlite3.Row]:
        with self._turn, self._errors():
            return self._base.execute(sql, values).fetchall()

    def _open(self) -> None:
        self._base.row_factory = sqlite3.Row
        for setting in ("journal_mode=WAL", "synchronous=FULL", "trusted_schema=OFF"):
            self._base.execute(f"PRAGMA {setting}")
        application, format_ = self._format()
        known = application == _APPLICATION_ID or (application, format_) == (0, 0)
        if not known or format_ > len(MIGRATIONS):
            raise FleetStoreError(f"{self._path}: not a file of devices, or of a later version of lykeion")
        if format_ < len(MIGRATIONS):
            self._migrate()

    def _format(self) -> tuple[int, int]:
        application, format_ = (
            self._base.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")
        )
        return application, format_

    def _migrate(self) -> None:
        self._base.execute("BEGIN IMMEDIATE")
        for migration in MIGRATIONS[self._format()[1] :]:  # or another process was first
            for statement in migration:
                self._base.execute(statement)
        self._base.execute(f"PRAGMA application_id={_APPLICATION_ID}")
        self._base.execute(f"PRAGMA user_version={len(MIGRATIONS)}")
        self._base.execute("COMMIT")

    @contextmanager
    def _errors(self) -> Generator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise FleetStoreError(f"{self._path}: {error}") from None


def fleet_id(store: FleetStore) -> str:
    """What tells the fleet of a store from others, however many servers use it. Raises FleetStoreError."""
    with store.transaction() as now:
        new = uuid.uuid4().hex[:16]
        now.change("INSERT INTO fleet (number, id) VALUES (1, ?) ON CONFLICT (number) DO NOTHING", (new,))
        return now.rows("SELECT id FROM fleet")[0]["id"]


class FleetTransaction:
    def __init__(self, base: sqlite3.Connection) -> None:
        self._base = base

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[sqlite3.Row]:
        return self._base.execute(sql, values).fetchall()

    def change(self, sql: str, values: Sequence[Any] = ()) -> int:
        """The number of rows that were changed."""
        return self._base.execute(sql, values).rowcount

    def change_all(self, sql: str, rows: Sequence[Sequence[Any]]) -> int:
        """The same for many rows, which stand in ``sql`` as ``VALUES {rows}``: by as few statements as may be, for
        each lets other threads run."""
        return sum(self.change(*_filled(sql, part)) for part in _parts(rows))

    def rows_all(self, sql: str, rows: Sequence[Sequence[Any]]) -> list[Any]:
        """What is found for many rows, in the same way."""
        return [found for part in _parts(rows) for found in self.rows(*_filled(sql, part))]

    @contextmanager
    def attempt(self) -> Generator[None]:
        """Undo what the block has changed if an error leaves it. Raises BadValue for what the store cannot keep."""
        self._base.execute("SAVEPOINT attempt")
        try:
            yield
        except (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.ProgrammingError, OverflowError) as error:
            self._undo()
            raise BadValue(f"it cannot be stored: {error}") from None
        except BaseException:
            self._undo()
            raise
        self._base.execute("RELEASE attempt")

    def _undo(self) -> None:
        self._base.execute("ROLLBACK TO attempt")
        self._base.execute("RELEASE attempt")  # or the next one that is undone would be this

    def record(self, at: float, who: str, what: str) -> None:
        """In the audit log."""
        self._base.execute("INSERT INTO audit (at, who, what) VALUES (?, ?, ?)", (at, who[:128], what[:1024]))


def _parts(rows: Sequence[Sequence[Any]]) -> Iterator[Sequence[Sequence[Any]]]:
    """Of few different lengths, so that few statements are prepared."""
    place = 0
    for most in _TOGETHER:
        while len(rows) - place >= most:
            yield rows[place : place + most]
            place += most


def _filled(sql: str, rows: Sequence[Sequence[Any]]) -> tuple[str, list[Any]]:
    return sql.replace("{rows}", _marks(len(rows), len(rows[0]))), [each for row in rows for each in row]


@cache
def _marks(rows: int, columns: int) -> str:
    return ", ".join([f"({', '.join(['?'] * columns)})"] * rows)
