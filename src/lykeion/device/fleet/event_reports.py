"""What a device has to tell, kept until it could be told: bounded, and what had to be dropped is counted by kind.

An exposure says that somebody was shown a version; an outcome, what came of it. An outcome without its exposure would
be counted for nobody, so exposures are dropped last.
"""

import json
import re
import secrets
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from lykeion.core import Invalid

EventKind = Literal["event", "outcome", "health", "exposure"]
KINDS: tuple[EventKind, ...] = get_args(EventKind)
"""Those that are dropped first come first."""
EventFields: TypeAlias = Mapping[str, str | int | float | bool]
MAX_EVENTS = 10_000
MAX_FIELDS_BYTES = 4_096
MAX_BATCH_BYTES = 1 << 16
"""So that a batch fits in a frame of ``lykeion.v1``: a field has two values, and eight bytes at least."""
_EVENT_BYTES = 200
"""Of an event without its fields, at most; it has eleven values."""
_NAME = re.compile(r"[a-z][a-z0-9_.]{0,63}")
_TABLES = """
CREATE TABLE IF NOT EXISTS events (
    id INTEGER PRIMARY KEY AUTOINCREMENT, rank INTEGER NOT NULL, name TEXT NOT NULL, at REAL NOT NULL,
    fields TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS by_rank ON events (rank, id);
CREATE TABLE IF NOT EXISTS dropped_totals (
    rank INTEGER PRIMARY KEY, events INTEGER NOT NULL, told INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS counter (name TEXT NOT NULL);
"""


class EventError(Invalid):
    """An event that cannot be reported: its name or its fields are not what they may be."""


@dataclass(frozen=True, slots=True)
class ReportedEvent:
    """``id`` grows; ``at`` is the device's clock, seconds since 1970."""

    id: int
    kind: EventKind
    name: str
    at: float
    fields: EventFields


@dataclass(frozen=True, slots=True)
class EventBatch:
    """Events to send, and by counter how many of each kind were dropped in all, where more are than were told.

    Totals, so that a batch that arrives twice counts nothing twice. A counter lives as long as the device's file, or
    as the process that could not write it.
    """

    events: tuple[ReportedEvent, ...]
    dropped: Mapping[str, Mapping[str, int]]


class EventReports:
    """At ``path``. Safe among threads. Only ``add`` raises, for what is wrong with the event: where the file cannot
    be written, events are counted as dropped, for reports never end an app."""

    def __init__(self, path: Path, *, max_events: int = MAX_EVENTS, clock: Callable[[], float] = time.time) -> None:
        self._path, self._max, self._clock = path, max_events, clock
        self._turn = threading.Lock()
        self._name = secrets.token_hex(8)
        self._unwritten, self._unwritten_told = Counter[str](), Counter[str]()
        """Dropped because the file could not be written, and what the server knows of it."""
        self._base: sqlite3.Connection | None = None

    def add(self, name: str, fields: EventFields | None = None, kind: EventKind = "event") -> None:
        """Raises EventError."""
        row = KINDS.index(_checked(name, kind)), name, self._clock(), _as_json(name, fields or {})
        with self._turn:
            self._unwritten[kind] += not self._done(lambda base: _insert(base, row, self._max))

    def batch(self, most: int = 500) -> EventBatch:
        """The next to send, oldest first: as many as one message may hold."""
        events, dropped = list[ReportedEvent](), dict[str, Mapping[str, int]]()

        def read(base: sqlite3.Connection) -> None:
            rows = base.execute("SELECT id, rank, name, at, fields FROM events ORDER BY id LIMIT ?", (most,))
            events.extend(_event(*row) for row in _within(rows, MAX_BATCH_BYTES))
            if base.execute("SELECT 1 FROM dropped_totals WHERE events > told").fetchone():
                counted = base.execute("SELECT rank, events FROM dropped_totals")
                dropped[_counter(base)] = {KINDS[rank]: count for rank, count in counted}

        with self._turn:
            self._done(read)
            if self._unwritten != self._unwritten_told:
                dropped[self._name] = dict(+self._unwritten)
        return EventBatch(tuple(events), dropped)

    def arrived(self, batch: EventBatch) -> None:
        """The server has the batch: its events go, and what it said was dropped is not said again."""

        def forget(base: sqlite3.Connection) -> None:
            base.executemany("DELETE FROM events WHERE id = ?", [(event.id,) for event in batch.events])
            for kind, count in batch.dropped.get(_counter(base), {}).items():
                known = (count, KINDS.index(kind), count)  # type: ignore[arg-type]
                base.execute("UPDATE dropped_totals SET told = ? WHERE rank = ? AND told < ?", known)

        with self._turn:
            self._unwritten_told |= Counter(batch.dropped.get(self._name, {}))
            self._done(forget)

    def close(self) -> None:
        with self._turn:
            self._forget()

    def _done(self, work: Callable[[sqlite3.Connection], object]) -> bool:
        """Whether it could be done, in one transaction."""
        try:
            self._base = self._base or _opened(self._path)
            with self._base:
                work(self._base)
        except (sqlite3.Error, OSError):
            self._forget()
            return False
        return True

    def _forget(self) -> None:
        if self._base:
            self._base.close()
            self._base = None


def _insert(base: sqlite3.Connection, row: tuple[object, ...], most: int) -> None:
    """Drops others, or this one, if there are then more than ``most``."""
    base.execute("INSERT INTO events (rank, name, at, fields) VALUES (?, ?, ?, ?)", row)
    (count,) = base.execute("SELECT count(*) FROM events").fetchone()
    if count <= most:
        return
    rows = base.execute("SELECT id, rank FROM events ORDER BY rank, id LIMIT ?", (count - most,)).fetchall()
    base.executemany("DELETE FROM events WHERE id = ?", [(id,) for id, _ in rows])
    for rank, dropped in Counter(rank for _, rank in rows).items():
        base.execute(
            "INSERT INTO dropped_totals (rank, events) VALUES (?, ?)"
            " ON CONFLICT (rank) DO UPDATE SET events = events + excluded.events",
            (rank, dropped),
        )


def _within(rows: Iterable[tuple[Any, ...]], most: int) -> Iterator[tuple[Any, ...]]:
    """The first rows, whose last column is the fields, as far as ``most`` bytes go."""
    for row in rows:
        most -= len(row[-1]) + _EVENT_BYTES
        if most < 0:
            return
        yield row


def _counter(base: sqlite3.Connection) -> str:
    return base.execute("SELECT name FROM counter").fetchone()[0]


def _opened(path: Path) -> sqlite3.Connection:
    """A file that is no database is put aside."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        return _connected(path)
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError:
        path.replace(path.with_suffix(".damaged"))
        return _connected(path)


def _connected(path: Path) -> sqlite3.Connection:
    base = sqlite3.connect(path, timeout=5, check_same_thread=False)
    try:
        base.execute("PRAGMA journal_mode = WAL")
        base.execute("PRAGMA synchronous = NORMAL")
        base.executescript(_TABLES)
        base.execute("INSERT INTO counter SELECT ? WHERE NOT EXISTS (SELECT 1 FROM counter)", (secrets.token_hex(8),))
        base.commit()
    except sqlite3.Error:
        base.close()
        raise
    return base


def _event(id: int, rank: int, name: str, at: float, fields: str) -> ReportedEvent:
    return ReportedEvent(id, KINDS[rank], name, at, json.loads(fields))


def _checked(name: str, kind: EventKind) -> EventKind:
    """Raises EventError."""
    if not _NAME.fullmatch(name):
        raise EventError(f"{name[:64]!r} is not the name of an event: lower-case letters, digits, _ and ., up to 64")
    if kind not in KINDS:
        raise EventError(f"{kind[:64]!r} is not a kind of event; there are {', '.join(KINDS)}")
    return kind


def _as_json(name: str, fields: EventFields) -> str:
    """Raises EventError."""
    for key, value in fields.items():
        if not isinstance(value, str | int | float | bool):
            raise EventError(f"event {name}: the field {str(key)[:64]!r} is no text, number or truth value")
    try:
        text = json.dumps(dict(fields), allow_nan=False)
    except ValueError:
        raise EventError(f"event {name}: a field is not a finite number") from None
    if len(text) > MAX_FIELDS_BYTES:
        raise EventError(f"event {name}: its fields have {len(text):,} bytes; at most {MAX_FIELDS_BYTES:,} are sent")
    return text
