"""Which files may run here: the client workflow of TUF (specification 1.0.34, section 5.3 to 5.7) on ``tuf.api``.

Unlike python-tuf's own client it works offline, resumes, takes its time from a rule, and reads the models it is asked
for. Metadata are kept as they were verified, each over its predecessor, so rollback is noticed after a restart too.

The time is the latest of the wall clock, the build of the software, and the last complete update. A clock that is
years ahead finds everything expired, and so changes nothing; one that is set back is believed only as far as to the
last update. Expiry stops updates, never a model that was verified before.
"""
# pyright: reportPrivateImportUsage=false
# TUF's modules show names that they import.

import hashlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, TargetFile, Targets, Timestamp

from lykeion.core import first_line

from .durable_files import Disk, FileLayer, replace_file
from .errors import UpdateMissing, UpdateRefused, UpdateUnavailable
from .metadata_checks import FoundTarget, check_expiry, found_target, next_root, self_signed_root, verified
from .signed_target import ModelLimits, limits_path, read_limits, role_of, version_at

MAX_ROOT_BYTES, MAX_ROOTS, MAX_DELEGATIONS = 512_000, 256, 32
MAX_TIMESTAMP_BYTES, MAX_SNAPSHOT_BYTES, MAX_TARGETS_BYTES = 16_384, 2_000_000, 5_000_000
TIME_FILE, ORIGIN_FILE = "trusted-time", "software-root"

Fetch = Callable[[str, int], bytes]
"""A file below the metadata's address, of at most so many bytes. Raises UpdateMissing if there is none, else
UpdateUnavailable."""


class TrustedMetadata:
    """Kept in ``directory``; ``built_in`` is the root that the software brings, ``built_at`` when it was built."""

    def __init__(self, directory: Path, built_in: bytes, built_at: datetime, files: FileLayer | None = None) -> None:
        """Raises UpdateRefused if the software's root is not one."""
        self._directory, self._built_at, self._files = directory, built_at, files or Disk()
        self._files.make_directory(directory)
        self._root = self._first_root(built_in)
        self._roles: dict[tuple[str, str], Targets] = {}
        self._snapshot: Metadata[Snapshot] | None = None

    def time(self, now: datetime) -> datetime:
        """The time to compare expiry with, where the wall clock says ``now``."""
        stored = self._kept(TIME_FILE)
        try:
            last = datetime.fromtimestamp(int(stored or b"0"), UTC)
        except (ValueError, OverflowError, OSError):
            last = self._built_at
        return max(now, self._built_at, last)

    def update(self, fetch: Fetch, models: Sequence[str], now: datetime, paths: Sequence[str] = ()) -> None:
        """Fetch and verify what is current for these models, and for the targets at ``paths``.

        Raises UpdateRefused for what is not signed as it should be, expired, or older than what was seen;
        UpdateUnavailable. What was verified until then is kept, so that the next call goes on from there.
        """
        time = self.time(now)
        self._roles, self._snapshot = {}, None
        try:
            self._update_root(fetch, time)
            timestamp = self._update_timestamp(fetch, time)
            self._snapshot = self._update_snapshot(fetch, timestamp.signed.snapshot_meta, time)
            self._load(fetch, Targets.type, Root.type, time)
            for path in (*map(limits_path, models), *paths):
                self._search(path, lambda role, delegator: self._load(fetch, role, delegator, time))
        except BaseException as error:
            self._roles = {}
            if isinstance(error, RepositoryError):
                raise UpdateRefused(first_line(error)) from None
            raise
        self._keep(TIME_FILE, str(int(time.timestamp())).encode())

    def target(self, path: str) -> FoundTarget | None:
        """A target of the last update; None if it is not there. Raises RecordError, NewerRecord."""
        file = self.file(path)
        return found_target(file) if file else None

    def newest(self, model: str, device_class: str) -> FoundTarget | None:
        """The target with the highest version for a class, of those that are not in bins. Raises as ``target``."""
        role = self._roles.get((role_of(model), Targets.type))
        versions = {version_at(path, model, device_class): path for path in (role.targets if role else ())}
        return self.target(versions[max(versions)]) if max(versions, default=0) else None

    def limits(self, model: str) -> ModelLimits:
        """What holds for all versions of a model. Raises RecordError, NewerRecord."""
        file = self.file(limits_path(model))
        return read_limits(file.custom, file.path) if file else ModelLimits(model)

    @property
    def consistent(self) -> bool:
        """Whether names of files in the repository begin with versions and digests."""
        return bool(self._root.signed.consistent_snapshot)

    def file(self, path: str) -> TargetFile | None:
        """What TUF says of a target of the last update."""
        return self._search(path, lambda role, delegator: self._roles.get((role, delegator)))

    # Each step of the specification's section 5.

    def _update_root(self, fetch: Fetch, time: datetime) -> None:
        for _ in range(MAX_ROOTS):
            version = self._root.signed.version + 1
            try:
                data = fetch(f"{version}.root.json", MAX_ROOT_BYTES)
            except UpdateMissing:
                break
            self._root = next_root(self._root, data)
            self._keep("root.json", data)
        check_expiry(self._root, time)

    def _update_timestamp(self, fetch: Fetch, time: datetime) -> Metadata[Timestamp]:
        data = fetch("timestamp.json", MAX_TIMESTAMP_BYTES)
        new, old = verified(data, Timestamp, self._root.signed), self._old("timestamp", Timestamp)
        if old and new.signed.version < old.signed.version:
            raise RepositoryError(f"rollback: timestamp {new.signed.version} after {old.signed.version}")
        if old and new.signed.snapshot_meta.version < old.signed.snapshot_meta.version:
            raise RepositoryError("rollback: the timestamp names an older snapshot than before")
        if old and new.signed.version == old.signed.version:
            new = old  # also where somebody signed two with one version
        check_expiry(new, time)
        if new is not old:
            self._keep("timestamp.json", data)
        return new

    def _update_snapshot(self, fetch: Fetch, meta: MetaFile, time: datetime) -> Metadata[Snapshot]:
        old = self._old("snapshot", Snapshot)
        data = self._current("snapshot", meta)
        fetched = data is None
        if data is None:
            data = fetch(self._name("snapshot", meta.version), meta.length or MAX_SNAPSHOT_BYTES)
            meta.verify_length_and_hashes(data)
        new = verified(data, Snapshot, self._root.signed, version=meta.version)
        for name, before in old.signed.meta.items() if old else ():
            after = new.signed.meta.get(name)
            if after is None or after.version < before.version:
                raise RepositoryError(f"rollback: the snapshot names an older {name} than before")
        check_expiry(new, time)
        if fetched:
            self._keep("snapshot.json", data)
        return new

    def _load(self, fetch: Fetch, role: str, delegator: str, time: datetime) -> Targets:
        """A role's targets, from here if they are current, else fetched; once for each role that delegates to it."""
        if (role, delegator) in self._roles:
            return self._roles[role, delegator]
        meta = cast(Metadata[Snapshot], self._snapshot).signed.meta.get(f"{role}.json")
        if meta is None:
            raise RepositoryError(f"the snapshot does not list {role}")
        data = self._current(role, meta)
        fetched = data is None
        if data is None:
            data = fetch(self._name(role, meta.version), meta.length or MAX_TARGETS_BYTES)
            meta.verify_length_and_hashes(data)
        above = next((each for (name, _), each in self._roles.items() if name == delegator), None)
        new = verified(data, Targets, above or self._root.signed, role, meta.version)
        check_expiry(new, time)
        if fetched:
            self._keep(f"{role}.json", data)
        self._roles[role, delegator] = new.signed
        return new.signed

    def _search(self, path: str, load: Callable[[str, str], Targets | None]) -> TargetFile | None:
        """Preorder, depth first, through the roles to which the path is delegated; nothing if one is not loaded."""
        waiting, seen = [(Targets.type, Root.type)], set[str]()
        while waiting and len(seen) <= MAX_DELEGATIONS:
            role, delegator = waiting.pop()
            if role in seen:
                continue
            targets = load(role, delegator)
            if targets is None or path in targets.targets:
                return targets and targets.targets[path]
            seen.add(role)
            below: list[tuple[str, str]] = []
            for name, terminating in targets.delegations.get_roles_for_target(path) if targets.delegations else ():
                below.append((name, role))
                if terminating:
                    waiting.clear()
                    break
            waiting += reversed(below)
        return None

    def _name(self, role: str, version: int) -> str:
        """Of a role's file in the repository."""
        name = f"{quote(role, '')}.json"
        return f"{version}.{name}" if self.consistent else name

    def _first_root(self, built_in: bytes) -> Metadata[Root]:
        """The root kept here, if it follows from the one that the software brings; else that one."""
        origin = hashlib.sha256(built_in).hexdigest().encode()
        try:
            root = self_signed_root(built_in)
        except RepositoryError as error:
            raise UpdateRefused(f"the software's root: {first_line(error)}") from None
        if self._kept(ORIGIN_FILE) != origin:
            self._files.remove(self._directory / "root.json")
            self._files.sync(self._directory)
            self._keep(ORIGIN_FILE, origin)
            self._keep("root.json", built_in)
        kept = self._kept("root.json")
        try:
            return self_signed_root(kept) if kept else root
        except RepositoryError:
            return root  # damaged: the newer ones are fetched again

    def _old(self, role: str, kind: type[Any]) -> Metadata[Any] | None:
        """What was verified before, if today's root still has its keys: new keys end a fast-forward attack."""
        kept = self._kept(f"{role}.json")
        try:
            return verified(kept, kind, self._root.signed) if kept else None
        except RepositoryError:
            return None

    def _current(self, role: str, meta: MetaFile) -> bytes | None:
        """What is kept of a role, if it is what ``meta`` asks for."""
        kept = self._kept(f"{role}.json")
        try:
            if kept:
                meta.verify_length_and_hashes(kept)
                return kept if meta.hashes or Metadata.from_bytes(kept).signed.version == meta.version else None
        except RepositoryError:
            pass
        return None

    def _kept(self, name: str) -> bytes | None:
        path = self._directory / quote(name, "")
        try:
            return self._files.read(path) if 0 <= self._files.size(path) <= MAX_TARGETS_BYTES else None
        except OSError:
            return None

    def _keep(self, name: str, data: bytes) -> None:
        try:
            replace_file(self._files, self._directory / quote(name, ""), data)
        except OSError as error:
            raise UpdateUnavailable(f"{self._directory / name}: {error.strerror or error}") from None
