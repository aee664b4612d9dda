"""Resources in one SQLite file: every write is on disk when the call returns; watches see it once and in order."""

import asyncio
import json
import os
import sqlite3
import uuid
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from msgspec import structs

from lykeion.core import Unavailable, json_value
from lykeion.core.fields import Fields

from .reconcile import Event
from .resource import AnyKind, AnyResource, Key, ResourceError
from .resource_documents import check_change, read_resource
from .resource_store import Change, Exists, Gone, Happened, Listing, NoSuchResource, Outdated

T = TypeVar("T")

KEPT_CHANGES = 4096
KEPT_EVENTS = 50
"""Per object."""
LIMIT_DOCUMENT_BYTES = 512 << 10
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


class SqliteStore:
    """The objects of ``kinds`` in the file ``path``, which is created if missing; one process at a time.

    ``now`` is the clock for creation times; ``kept_changes`` is how many changes a watch may lag behind.
    Raises ResourceStoreError.
    """

    def __init__(
        self,
        path: Path,
        kinds: Mapping[str, AnyKind],
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        kept_changes: int = KEPT_CHANGES,
    ) -> None:
        self._path, self._kinds, self._now, self._kept_changes = path, kinds, now, kept_changes
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="lykeion-store")
        self._changed = asyncio.Event()
        self._database = self._thread.submit(self._open).result()

    async def close(self) -> None:
        await self._run(self._database.close)
        self._thread.shutdown()

    async def get(self, key: Key) -> AnyResource:
        return await self._run(self._get, key)

    async def listing(self, kind: AnyKind, namespace: str | None = None) -> Listing:
        return await self._run(self._list, kind, namespace)

    async def watch(self, kind: AnyKind, since: str) -> AsyncGenerator[Change, None]:
        version = int(since)
        while True:
            changed = self._changed
            for number, change in await self._run(self._changes_after, kind, version):
                version = number
                yield change
            await changed.wait()

    async def create(self, resource: AnyResource) -> AnyResource:
        return await self._writing(self._create, resource)

    async def apply(self, resource: AnyResource) -> AnyResource:
        return await self._writing(self._apply, resource)

    async def write_status(self, resource: AnyResource) -> AnyResource:
        return await self._writing(self._write_status, resource)

    async def delete(self, key: Key, uid: str = "") -> None:
        await self._writing(self._delete, key, uid)

    async def record(self, resource: AnyResource, event: Event) -> None:
        await self._run(self._record_event, resource.metadata.uid, event)

    async def events(self, key: Key) -> tuple[Happened, ...]:
        return await self._run(self._events, key)

    async def _writing(self, work: Callable[..., T], *args: Any) -> T:
        try:
            return await self._run(work, *args)
        finally:
            self._changed.set()
            self._changed = asyncio.Event()

    async def _run(self, work: Callable[..., T], *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *args)

    def _open(self) -> sqlite3.Connection:
        with self._errors():
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600))  # it contains secrets
            database = sqlite3.connect(self._path, isolation_level=None, check_same_thread=True)
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
                raise ResourceStoreError(f"{self._path} is not a file of the platform's resources")
            elif format_ != _FORMAT:
                raise ResourceStoreError(f"{self._path} has format {format_}; this version reads {_FORMAT}")
            database.execute("COMMIT")
            return database

    def _get(self, key: Key) -> AnyResource:
        with self._errors():
            where = "WHERE kind = ? AND namespace = ? AND name = ?"
            row = self._database.execute(
                f"SELECT document FROM objects {where}",  # noqa: S608
                (key.kind, key.namespace, key.name),
            ).fetchone()
        if row is None:
            raise NoSuchResource(f"there is no {key} in the namespace {key.namespace}")
        return self._read(row[0])

    def _list(self, kind: AnyKind, namespace: str | None) -> Listing:
        with self._transaction():
            rows = self._database.execute(
                "SELECT document FROM objects WHERE kind = ? AND namespace = ifnull(?, namespace)",
                (kind.name, namespace),
            ).fetchall()
            version = self._version()
        return Listing(tuple(self._read(document) for (document,) in rows), str(version))

    def _changes_after(self, kind: AnyKind, version: int) -> list[tuple[int, Change]]:
        with self._transaction():
            (oldest,) = self._database.execute("SELECT ifnull(min(version), 0) FROM changes").fetchone()
            rows = self._database.execute(
                "SELECT version, type, document FROM changes WHERE kind = ? AND version > ? ORDER BY version",
                (kind.name, version),
            ).fetchall()
        if version < oldest - 1 or version > self._version():
            raise Gone(f"the changes after version {version} are no longer kept; list again")
        return [(number, Change(type_, self._read(document))) for number, type_, document in rows]

    def _create(self, resource: AnyResource) -> AnyResource:
        with self._transaction():
            return self._insert(resource)

    def _apply(self, resource: AnyResource) -> AnyResource:
        with self._transaction():
            asked = resource.metadata
            try:
                kept: Any = self._get(resource.key)
            except NoSuchResource:
                if asked.uid or asked.resource_version:
                    raise Outdated(f"{resource.key} was deleted since it was read") from None
                return self._insert(resource)
            _check_version(resource, kept)
            same_spec = kept.spec == resource.spec
            metadata = structs.replace(
                kept.metadata,
                labels=asked.labels,
                annotations=asked.annotations,
                owner_references=asked.owner_references or kept.metadata.owner_references,
                generation=kept.metadata.generation + (not same_spec),
            )
            if same_spec and metadata == kept.metadata:
                return kept
            check_change(kept, resource)
            return self._update(type(kept)(kept.kind, metadata, resource.spec, kept.status))

    def _write_status(self, resource: AnyResource) -> AnyResource:
        with self._transaction():
            kept: Any = self._get(resource.key)
            _check_version(resource, kept)
            return kept if kept.status == resource.status else self._update(kept.with_status(resource.status))

    def _delete(self, key: Key, uid: str) -> None:
        with self._transaction():
            kept = self._get(key)
            if uid and kept.metadata.uid != uid:
                raise NoSuchResource(f"{key} was deleted and made again")
            waiting = [kept]
            while waiting:
                each = waiting.pop()
                owned = self._database.execute("SELECT document FROM objects WHERE owner = ?", (each.metadata.uid,))
                waiting += [self._read(document) for (document,) in owned.fetchall()]
                self._database.execute("DELETE FROM objects WHERE uid = ?", (each.metadata.uid,))
                self._database.execute("DELETE FROM events WHERE uid = ?", (each.metadata.uid,))
                self._record("DELETED", each)

    def _record_event(self, uid: str, event: Event) -> None:
        with self._transaction():
            row = (uid, self._now().isoformat(), event.type, event.reason, event.message)
            self._database.execute("INSERT INTO events (uid, at, type, reason, message) VALUES (?, ?, ?, ?, ?)", row)
            self._database.execute(
                "DELETE FROM events WHERE uid = ?1 AND number <= "
                "(SELECT number FROM events WHERE uid = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2)",
                (uid, KEPT_EVENTS),
            )

    def _events(self, key: Key) -> tuple[Happened, ...]:
        uid = self._get(key).metadata.uid
        with self._errors():
            rows = self._database.execute(
                "SELECT at, type, reason, message FROM events WHERE uid = ? ORDER BY number", (uid,)
            )
            return tuple(Happened(datetime.fromisoformat(at), Event(*event)) for at, *event in rows)

    def _insert(self, resource: AnyResource) -> AnyResource:
        now = self._now().replace(microsecond=0)
        metadata = structs.replace(
            resource.metadata, uid=str(uuid.uuid4()), generation=1, creation_timestamp=now, resource_version=""
        )
        try:
            return self._write("ADDED", type(resource)(resource.kind, metadata, resource.spec, resource.status))
        except sqlite3.IntegrityError:
            raise Exists(f"there is a {resource.key} already") from None

    def _update(self, resource: AnyResource) -> AnyResource:
        return self._write("MODIFIED", resource)

    def _write(self, type_: str, resource: AnyResource) -> AnyResource:
        metadata = structs.replace(resource.metadata, resource_version=str(self._version() + 1))
        written = type(resource)(resource.kind, metadata, resource.spec, resource.status)
        owner = resource.owner.uid if resource.owner else ""
        verb = "INSERT" if type_ == "ADDED" else "REPLACE"
        self._database.execute(
            f"{verb} INTO objects VALUES (?, ?, ?, ?, ?, ?)",
            (resource.kind.name, metadata.namespace, metadata.name, metadata.uid, owner, _text(written)),
        )
        self._record(type_, written)
        return written

    def _record(self, type_: str, resource: AnyResource) -> None:
        change = (resource.kind.name, type_, _text(resource))
        self._database.execute("INSERT INTO changes (kind, type, document) VALUES (?, ?, ?)", change)
        self._database.execute("DELETE FROM changes WHERE version <= ?", (self._version() - self._kept_changes,))

    def _version(self) -> int:
        """The version of the last change; it never decreases, even if changes were dropped."""
        row = self._database.execute("SELECT seq FROM sqlite_sequence WHERE name = 'changes'").fetchone()
        return row[0] if row else 0

    def _read(self, document: str) -> AnyResource:
        values = json_value(document, ResourceStoreError, "resource", where=f"{self._path}: ")
        try:
            return read_resource(Fields(str(self._path), values), self._kinds)
        except ResourceError as wrong:
            raise ResourceStoreError(f"{wrong}; it was written by another version of Lykeion") from None

    @contextmanager
    def _transaction(self) -> Generator[None]:
        with self._errors():
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise

    @contextmanager
    def _errors(self) -> Generator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            raise ResourceStoreError(f"{self._path}: {error}") from None
        except OSError as error:
            raise ResourceStoreError(f"{self._path}: {error.strerror or error}") from None


def _check_version(resource: AnyResource, kept: AnyResource) -> None:
    asked = resource.metadata
    if asked.uid and asked.uid != kept.metadata.uid:
        raise Outdated(f"{resource.key} was deleted and made again since it was read")
    if asked.resource_version and asked.resource_version != kept.metadata.resource_version:
        raise Outdated(f"{resource.key} was changed since it was read")


def _text(resource: AnyResource) -> str:
    text = json.dumps(resource.document(), separators=(",", ":"))
    if len(text) > LIMIT_DOCUMENT_BYTES:
        raise ResourceError(f"{resource.key} is larger than {LIMIT_DOCUMENT_BYTES >> 10} KiB")
    return text
