"""Immutable versions ``v1``, ``v2`` … and movable aliases such as ``champion`` and ``canary``.

On disk a move is one compare-and-swap. A registry has none: there a move is written and read back, and at least one
of two concurrent moves is reported as a Conflict; a coordinator, a directory that all clients share, prevents them.
"""

import getpass
import os
import random
import socket
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path

from lykeion.core import Conflict, NotFound, Unsupported, digest_bytes, locked
from lykeion.oci import EMPTY, EMPTY_BLOB
from lykeion.oci.distribution import ArtifactStore, StoreError

from .model_names import check_alias, is_public, version_number
from .moves import Move, alias_of, problems, read_move, records_of

ANYWHERE = "anywhere"
"""For ``expect``: any current target of the alias."""

_ROUNDS = 20


def versions(tags: Iterable[str]) -> list[str]:
    """The versions among tags, newest first."""
    return sorted(
        (tag for tag in tags if version_number(tag)), key=lambda tag: version_number(tag) or 0, reverse=True
    )


def aliases(tags: Iterable[str]) -> list[str]:
    return sorted(tag for tag in tags if is_public(tag) and version_number(tag) is None)


def history(store: ArtifactStore, repository: str, alias: str, *, since: int = 1) -> list[Move]:
    """The recorded moves of an alias or version from number ``since`` on, in order; see ``moves.problems``."""
    tags = [tag for tag in records_of(alias, store.tags(repository)) if (alias_of(tag) or ("", 0))[1] >= since]
    found = (store.resolve(repository, tag) for tag in tags)
    return [read_move(store.manifest(repository, digest)) for digest in found if digest]


def write_version(store: ArtifactStore, repository: str, manifest: bytes) -> str:
    """Assign the next version to a manifest permanently, and return it.

    If the store has no compare-and-swap, a writer first claims the number by its record, and writes only if no other
    client has claimed it; else the number is skipped. Raises StoreError.
    """
    store.put(repository, EMPTY, EMPTY_BLOB, _ignore)
    digest = digest_bytes(manifest)
    for _ in range(_ROUNDS):
        version = f"v{_highest(store.tags(repository)) + 1}"
        claim = Move(version, 1, "", digest, _who(), _now(), "")
        tag = claim.tag(unique=not store.compares)
        if store.compares:
            try:
                store.write(
                    repository,
                    [claim.manifest, manifest],
                    {tag: claim.digest, version: digest},
                    expect={tag: None, version: None},
                )
            except Conflict:
                continue
            return version
        store.write(repository, [claim.manifest], {tag: claim.digest})
        if records_of(version, store.tags(repository)) == [tag] and store.resolve(repository, version) is None:
            store.write(repository, [manifest], {version: digest})
            return version
        time.sleep(random.uniform(0.05, 0.5))  # noqa: S311
    raise StoreError(f"{repository}: other clients keep writing versions; push again")


def move(
    store: ArtifactStore,
    repository: str,
    alias: str,
    to: str,
    *,
    expect: str | None = ANYWHERE,
    coordinator: Path | None = None,
) -> Move | None:
    """Point an alias to the manifest of digest ``to``, and return the record; None if it already does.

    ``expect`` is the digest that it must point to now, None for nothing. Raises Conflict if it does not, or on a
    concurrent move; Unsupported for ``expect`` on a registry without ``coordinator``; NotFound.
    """
    check_alias(alias)
    if expect != ANYWHERE and not store.compares and coordinator is None:
        raise Unsupported(
            f"{store.host}: a registry cannot compare and swap; leave --expect out, or give a --coordinator"
        )
    if not store.holds(repository, to):
        raise NotFound(f"{repository}@{to}: no such version")
    store.put(repository, EMPTY, EMPTY_BLOB, _ignore)
    with _turn(coordinator, f"{store.host}/{repository}:{alias}") if coordinator else nullcontext():
        for _ in range(_ROUNDS):
            now = store.resolve(repository, alias)
            if expect not in (ANYWHERE, now):
                raise Conflict(
                    f"{repository}:{alias} points to {now or 'nothing'}, not to {expect or 'nothing'}; "
                    "check it and try again"
                )
            if now == to:
                return None
            record = _record(store, repository, alias, now, to)
            tag = record.tag(unique=not store.compares)
            if not store.compares:
                store.write(repository, [record.manifest], {tag: record.digest})
                store.write(repository, [], {alias: to})
                _read_back(store, repository, record)
                return record
            try:
                tags = {tag: record.digest, alias: to}
                store.write(repository, [record.manifest], tags, expect={tag: None, alias: now})
            except Conflict:
                continue
            return record
    raise StoreError(f"{repository}:{alias}: other clients keep moving it; try again")


def remove(store: ArtifactStore, repository: str, alias: str) -> None:
    """Remove an alias; the version that it pointed to stays. Raises NotFound, Unsupported."""
    check_alias(alias)
    now = store.resolve(repository, alias)
    store.untag(repository, alias)
    record = _record(store, repository, alias, now, "")
    store.put(repository, EMPTY, EMPTY_BLOB, _ignore)
    store.write(repository, [record.manifest], {record.tag(unique=not store.compares): record.digest})


def _record(store: ArtifactStore, repository: str, alias: str, now: str | None, to: str) -> Move:
    """The record of a move after the last one; ``before`` shows whether other tools moved the alias in between."""
    tags = records_of(alias, store.tags(repository))
    last = tags[-1] if tags else None
    predecessor = store.resolve(repository, last) if last else None
    sequence = (alias_of(last) or ("", 0))[1] + 1 if last else 1
    return Move(alias, sequence, now or "", to, _who(), _now(), predecessor or "")


def _read_back(store: ArtifactStore, repository: str, record: Move) -> None:
    """Raises Conflict after a concurrent move of the alias. Of two concurrent moves, at least the one that reads back
    last sees both records."""
    since = history(store, repository, record.alias, since=record.sequence)
    now = store.resolve(repository, record.alias)
    if crossed := problems([move for move in since if move.sequence == record.sequence], all_known=False):
        raise Conflict(f"{repository}: {crossed[0]}; it is at {now} now")
    if now != since[-1].after:
        other = f"{since[-1].by} moves it" if since[-1] != record else "another tool moved it"
        raise Conflict(f"{repository}:{record.alias}: {other} at the same time; it is at {now} now")


def _highest(tags: Iterable[str]) -> int:
    """The highest version written or claimed."""
    names = [told[0] if (told := alias_of(tag)) else tag for tag in tags]
    return max((number for name in names if (number := version_number(name))), default=0)


@contextmanager
def _turn(directory: Path, name: str) -> Generator[None]:
    """While one client moves an alias, others that share the directory wait."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"coordinator {directory}: {error.strerror or error}") from None
    with locked(directory / digest_bytes(name.encode()).removeprefix("sha256:")):
        yield


def _who() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _ignore(_count: int) -> None:
    pass
