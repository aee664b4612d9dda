"""What a device keeps of its conversation: its session, what it has to send, and what came and was not handled."""

import json
import secrets
import sqlite3
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lykeion.core import Unavailable
from lykeion.device.conversation import (
    DeviceSession,
    MessageFrame,
    SessionRecord,
    read_cbor,
    write_cbor,
)

MAX_KEPT = 1_000
_TABLES = """
CREATE TABLE IF NOT EXISTS session (
    id INTEGER PRIMARY KEY CHECK (id = 1), session BLOB NOT NULL, epoch INTEGER NOT NULL, received INTEGER NOT NULL,
    first INTEGER NOT NULL, groups TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS outgoing (number INTEGER PRIMARY KEY, name TEXT NOT NULL, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS incoming (number INTEGER PRIMARY KEY, name TEXT NOT NULL, body BLOB NOT NULL);
"""


class ConversationFileError(Unavailable):
    """The file cannot be read or written."""


class ConversationFile:
    """Used by one thread. What a method has done is on disk when it returns. Methods raise ConversationFileError."""

    def __init__(self, path: Path, most: int = MAX_KEPT) -> None:
        self._path = path
        with self._errors():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._base = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)
            self._base.execute("PRAGMA journal_mode = WAL")
            self._base.execute("PRAGMA synchronous = FULL")
            self._base.executescript(_TABLES)
            self._most = most
            self.session = self._loaded()
            self._save()

    def reload(self) -> DeviceSession:
        """What is on disk, also if something could not be written."""
        with self._errors():
            self.session = self._loaded()
        return self.session

    def close(self) -> None:
        self._base.close()

    def put(self, name: str, body: Any) -> int:
        """Another message to send; its number."""
        with self._transaction():
            made, dropped = self.session.put(name, body)
            self._base.execute("INSERT INTO outgoing VALUES (?, ?, ?)", (made.number, name, write_cbor(body)))
            if dropped:
                self._forget()
        return made.number

    def acknowledged(self) -> None:
        """The session has forgotten some of what it kept."""
        with self._transaction():
            self._forget()

    def take(self, frame: MessageFrame) -> None:
        """It may be acknowledged then."""
        with self._transaction():
            self._base.execute(
                "INSERT INTO incoming VALUES (?, ?, ?)", (frame.number, frame.name, write_cbor(frame.body))
            )
            self.session.on_disk(frame.number)
            self._save()

    def welcomed(self) -> None:
        """The session has an epoch, and may have other numbers."""
        with self._transaction():
            self._base.execute("DELETE FROM outgoing")
            for frame in self.session.outgoing.kept():
                values = (frame.number, frame.name, write_cbor(frame.body))
                self._base.execute("INSERT INTO outgoing VALUES (?, ?, ?)", values)
            self._save()

    def heard(self) -> None:
        """A broadcast was handled."""
        with self._transaction():
            self._save()

    def handle(self, each: Callable[[MessageFrame], tuple[str, Any] | None]) -> int:
        """Hand out what came and was not handled, oldest first; what ``each`` returns is to be sent, and with that
        the message is handled. Returns how many."""
        rows = self._base.execute("SELECT number, name, body FROM incoming ORDER BY number").fetchall()
        for number, name, body in rows:
            answer = each(MessageFrame(number, name, read_cbor(body)))
            with self._transaction():
                self._base.execute("DELETE FROM incoming WHERE number = ?", (number,))
                if answer:
                    made, _ = self.session.put(*answer)
                    values = (made.number, made.name, write_cbor(made.body))
                    self._base.execute("INSERT INTO outgoing VALUES (?, ?, ?)", values)
                    self._forget()
        return len(rows)

    def _loaded(self) -> DeviceSession:
        row = self._base.execute("SELECT session, epoch, received, first, groups FROM session").fetchone()
        if row is None:
            return DeviceSession(SessionRecord(secrets.token_bytes(16)), most=self._most)
        session, epoch, received, first, groups = row
        rows = self._base.execute(
            "SELECT number, name, body FROM outgoing WHERE number >= ? ORDER BY number", (first,)
        )
        kept = [MessageFrame(number, name, read_cbor(body)) for number, name, body in rows]
        return DeviceSession(SessionRecord(session, epoch, received, json.loads(groups)), kept, first, self._most)

    def _forget(self) -> None:
        self._base.execute("DELETE FROM outgoing WHERE number < ?", (self.session.outgoing.first,))
        self._save()

    def _save(self) -> None:
        record, first = self.session.record, self.session.outgoing.first
        values = (record.session, record.epoch, record.received, first, json.dumps(dict(record.groups)))
        self._base.execute("INSERT OR REPLACE INTO session VALUES (1, ?, ?, ?, ?, ?)", values)

    @contextmanager
    def _transaction(self) -> Generator[None]:
        with self._errors():
            self._base.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._base.execute("ROLLBACK")
                raise
            self._base.execute("COMMIT")

    @contextmanager
    def _errors(self) -> Generator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise ConversationFileError(f"{self._path}: {error}") from None
