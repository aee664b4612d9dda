"""Resources in one SQLite file: every write is on disk when the call returns; watches see it once and in order."""

import asyncio
import json
import logging
import sqlite3
import uuid
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from msgspec import structs

from lykeion.core import LykeionError, json_value
from lykeion.core.fields import Fields

from .reconcile import Event
from .resource import AnyKind, AnyResource, Key, ResourceError
from .resource_documents import check_change, read_resource
from .resource_store import Change, Exists, Gone, Happened, Listing, NoSuchResource, Outdated
from .sqlite_file import ResourceStoreError, open_database, store_errors

T = TypeVar("T")

KEPT_CHANGES = 4096
KEPT_EVENTS = 50
"""Per object."""
LIMIT_DOCUMENT_BYTES = 512 << 10

_log = logging.getLogger("lykeion.control")


class SqliteStore:
    """The objects of ``kinds`` in the file ``path``, which is created if missing; one process at a time.

    What is written can be read back. An object that cannot be read, written by another version of ours or by another
    program, is left out of listings and watches, and can be deleted.
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
        self._reported: set[str] = set()
        self._database = self._thread.submit(open_database, path).result()

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

    def _get(self, key: Key) -> AnyResource:
        with store_errors(self._path):
            where = "WHERE kind = ? AND namespace = ? AND name = ?"
            row = self._database.execute(
                f"SELECT document FROM objects {where}",  # noqa: S608
                (key.kind, key.namespace, key.name),
            ).fetchone()
        if row is None:
            raise _lacking(key)
        return self._read(row[0])

    def _list(self, kind: AnyKind, namespace: str | None) -> Listing:
        with self._transaction():
            rows = self._database.execute(
                "SELECT uid, name, document FROM objects WHERE kind = ? AND namespace = ifnull(?, namespace)",
                (kind.name, namespace),
            ).fetchall()
            version = self._version()
        items, unreadable = list[AnyResource](), dict[str, str]()
        for uid, name, document in rows:
            try:
                items.append(self._read(document))
            except ResourceStoreError as problem:
                unreadable[uid] = f"{kind.name.lower()}/{name}: {problem}"
        self._report(unreadable)
        return Listing(tuple(items), str(version), unreadable)

    def _report(self, unreadable: Mapping[str, str]) -> None:
        """Once for each object."""
        for problem in (unreadable[uid] for uid in unreadable.keys() - self._reported):
            _log.error("%s; it is left alone", problem)
        self._reported |= unreadable.keys()

    def _changes_after(self, kind: AnyKind, version: int) -> list[tuple[int, Change]]:
        with self._transaction():
            (oldest,) = self._database.execute("SELECT ifnull(min(version), 0) FROM changes").fetchone()
            rows = self._database.execute(
                "SELECT version, type, document FROM changes WHERE kind = ? AND version > ? ORDER BY version",
                (kind.name, version),
            ).fetchall()
        if version < oldest - 1 or version > self._version():
            raise Gone(f"the changes after version {version} are no longer kept; list again")
        changes: list[tuple[int, Change]] = []
        for number, type_, document in rows:
            with suppress(ResourceStoreError):  # a listing reports it
                changes.append((number, Change(type_, self._read(document))))
        return changes

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
        """Also what cannot be read."""
        with self._transaction():
            row = self._database.execute(
                "SELECT uid, kind, document FROM objects WHERE kind = ? AND namespace = ? AND name = ?",
                (key.kind, key.namespace, key.name),
            ).fetchone()
            if row is None:
                raise _lacking(key)
            if uid and row[0] != uid:
                raise NoSuchResource(f"{key} was deleted and made again")
            waiting = [row]
            while waiting:
                owner, kind, document = waiting.pop()
                waiting += self._database.execute("SELECT uid, kind, document FROM objects WHERE owner = ?", (owner,))
                self._database.execute("DELETE FROM objects WHERE uid = ?", (owner,))
                self._database.execute("DELETE FROM events WHERE uid = ?", (owner,))
                self._record("DELETED", kind, document)

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
        with store_errors(self._path):
            rows = self._database.execute(
                "SELECT at, type, reason, message FROM events WHERE uid = ? ORDER BY number", (uid,)
            )
            return tuple(Happened(datetime.fromisoformat(at), Event(*event)) for at, *event in rows)

    def _insert(self, resource: AnyResource) -> AnyResource:
        owner = resource.owner
        if owner and not self._database.execute("SELECT 1 FROM objects WHERE uid = ?", (owner.uid,)).fetchone():
            raise NoSuchResource(f"{resource.key}: its owner, {owner.kind.lower()}/{owner.name}, was deleted")
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
        verb, document = "INSERT" if type_ == "ADDED" else "REPLACE", self._checked_text(written)
        self._database.execute(
            f"{verb} INTO objects VALUES (?, ?, ?, ?, ?, ?)",
            (resource.kind.name, metadata.namespace, metadata.name, metadata.uid, owner, document),
        )
        self._record(type_, resource.kind.name, document)
        return written

    def _record(self, type_: str, kind: str, document: str) -> None:
        self._database.execute("INSERT INTO changes (kind, type, document) VALUES (?, ?, ?)", (kind, type_, document))
        self._database.execute("DELETE FROM changes WHERE version <= ?", (self._version() - self._kept_changes,))

    def _version(self) -> int:
        """The version of the last change; it never decreases, even if changes were dropped."""
        row = self._database.execute("SELECT seq FROM sqlite_sequence WHERE name = 'changes'").fetchone()
        return row[0] if row else 0

    def _read(self, document: str) -> AnyResource:
        values = json_value(document, ResourceStoreError, "resource", where=f"{self._path}: ")
        try:
            return read_resource(Fields(str(self._path), values), self._kinds)
        except LykeionError as wrong:
            advice = "it was written by another version of Lykeion; use that one, or delete it"
            raise ResourceStoreError(f"{wrong}; {advice}") from None

    def _checked_text(self, resource: AnyResource) -> str:
        """As it is written, if it can be read back. Raises ResourceError."""
        text = json.dumps(resource.document(), separators=(",", ":"))
        if len(text) > LIMIT_DOCUMENT_BYTES:
            raise ResourceError(f"{resource.key} is larger than {LIMIT_DOCUMENT_BYTES >> 10} KiB")
        read_resource(Fields(str(resource.key), json_value(text, ResourceError, str(resource.key))), self._kinds)
        return text

    @contextmanager
    def _transaction(self) -> Generator[None]:
        with store_errors(self._path):
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise


def _check_version(resource: AnyResource, kept: AnyResource) -> None:
    asked = resource.metadata
    if asked.uid and asked.uid != kept.metadata.uid:
        raise Outdated(f"{resource.key} was deleted and made again since it was read")
    if asked.resource_version and asked.resource_version != kept.metadata.resource_version:
        raise Outdated(f"{resource.key} was changed since it was read")


def _lacking(key: Key) -> NoSuchResource:
    return NoSuchResource(f"there is no {key} in the namespace {key.namespace}")
