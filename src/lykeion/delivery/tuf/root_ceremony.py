"""The root: who may sign what. Its own keys are kept offline by several people, so signatures come in one by one.

A new root is staged, collects signatures of a threshold of the present root's keys and of its own, and is then
published together with what it has others sign.
"""
# pyright: reportPrivateImportUsage=false
# TUF's modules show names that they import.

from collections.abc import Collection, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import UTC, timedelta
from itertools import count, islice
from pathlib import Path
from typing import Any

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import TOP_LEVEL_ROLE_NAMES, Metadata, Root, Targets

from lykeion.core import write_atomically
from lykeion.delivery.errors import DeliveryError, KeyUnavailable, RepositoryDamaged

from .delivery_settings import DeliverySettings
from .editions import Edition, first_edition, keys_of, next_edition
from .signing_keys import RoleKey, Signing, own_key
from .tuf_repository import Clock, TufRepository, opened, wall_clock
from .tuf_state import (
    check_not_interrupted,
    metadata_directory,
    read_root,
    read_staged,
    read_state,
    root_versions,
    staged_path,
)

ONLINE = ("targets", "snapshot", "timestamp")
"""The roles besides the root; where their keys are together, a threshold of one is usual."""


@dataclass(frozen=True)
class RootProgress:
    """``missing`` is how many more signatures are needed, of the keys ``unsigned``; ``problem`` says why a root with
    all of them is not published."""

    version: int
    published: bool
    missing: int
    unsigned: tuple[str, ...]
    problem: str = ""


def init(
    home: Path,
    *,
    root_keys: Sequence[RoleKey] = (),
    threshold: int = 2,
    role_keys: Mapping[str, Sequence[RoleKey]] | None = None,
    thresholds: Mapping[str, int] | None = None,
    clock: Clock = wall_clock,
) -> RootProgress:
    """Make a repository. ``threshold`` is the root's, ``thresholds`` are those of other roles, by default one.

    Keys that are not given are made: of the root one more than the threshold, of others as many as it. Raises
    DeliveryError.
    """
    if staged_path(home).exists() or root_versions(metadata_directory(home)):
        raise DeliveryError(f"{home}: there is a repository already; lykeion delivery status shows it")
    needed, given = {Root.type: threshold} | dict(thresholds or {}), {Root.type: root_keys} | dict(role_keys or {})
    for role, least in needed.items():
        if not 1 <= least <= 16 or (given.get(role) and least > len(given[role])):
            raise DeliveryError(f"a threshold of {least} does not go with {len(given.get(role, ()))} {role} keys")
    with opened(home, clock=clock, new=True) as repository:
        made = list(root_keys) or [own_key(home, f"root-{n + 1}") for n in range(threshold + 1)]
        keys = {Root.type: made} | {
            role: list(given.get(role, ())) or _made_keys(home, role, needed.get(role, 1)) for role in ONLINE
        }
        root = Root(consistent_snapshot=True)
        for role, each in keys.items():
            for key in each:
                root.add_key(key.public, role)
            root.roles[role].threshold = needed.get(role, 1)
        repository.set(DeliverySettings().with_keys(key for each in keys.values() for key in each))
        return _stage(repository, root, None)


def rotate(
    home: Path,
    role: str,
    *,
    add: Sequence[RoleKey] = (),
    remove: Collection[str] = (),
    threshold: int | None = None,
    clock: Clock = wall_clock,
) -> RootProgress:
    """Replace keys of a top-level role: those named by the beginnings of their IDs, else all; by those given, else by
    as many new ones. Raises DeliveryError."""
    if role not in TOP_LEVEL_ROLE_NAMES:
        raise DeliveryError(f"{role[:60]!r} is no role of the root: root, targets, snapshot or timestamp")
    with opened(home, clock=clock) as repository:
        present = _settled_root(home)
        root = deepcopy((read_staged(home) or present).signed)
        root.version = present.signed.version + 1
        old = list(root.roles[role].keyids)
        gone = [keyid for keyid in old if not remove or keyid.startswith(tuple(remove))]
        if remove and len(gone) < len(set(remove)):
            raise DeliveryError(f"{role} has no such key; it has {', '.join(keyid[:12] for keyid in old)}")
        new = list(add) or _new_keys(home, role, root.version, old, len(gone))
        for keyid in gone:
            root.revoke_key(keyid, role)
        for key in new:
            root.add_key(key.public, role)
        root.roles[role].threshold = threshold or root.roles[role].threshold
        if not 1 <= root.roles[role].threshold <= len(root.roles[role].keyids):
            held = len(root.roles[role].keyids)
            raise DeliveryError(f"{role}: a threshold of {root.roles[role].threshold} does not go with {held} keys")
        repository.set(repository.settings.with_keys(new))
        return _stage(repository, root, present)


def renew_root(home: Path, *, clock: Clock = wall_clock) -> RootProgress:
    """Stage the present root with a later expiry."""
    with opened(home, clock=clock) as repository:
        present = _settled_root(home)
        root = deepcopy((read_staged(home) or present).signed)
        root.version = present.signed.version + 1
        return _stage(repository, root, present)


def sign_root(home: Path, keys: Sequence[RoleKey] = (), *, clock: Clock = wall_clock) -> RootProgress:
    """Add signatures to the staged root: with these keys, which are not remembered, and those known here.

    Publishes it as soon as there are enough. Raises DeliveryError if nothing is staged.
    """
    with opened(home, clock=clock) as repository:
        staged = read_staged(home)
        if staged is None:
            raise DeliveryError(f"{home}: no root is staged; lykeion delivery rotate makes one")
        return _advance(repository, staged, _present(home, staged.signed.version), keys)


def progress(home: Path) -> RootProgress | None:
    """Of the staged root; None if there is none. Raises DeliveryError."""
    staged = read_staged(home)
    return _progress(staged, _present(home, staged.signed.version)) if staged else None


def _made_keys(home: Path, role: str, number: int) -> list[RoleKey]:
    names = [role] if number == 1 else [f"{role}-{place + 1}" for place in range(number)]
    return [own_key(home, name) for name in names]


def _new_keys(home: Path, role: str, version: int, old: Collection[str], number: int) -> list[RoleKey]:
    """Keys that the role does not have; those of an interrupted command are used again."""
    made = (own_key(home, f"{role}-{version}-{place}") for place in count(1))
    return list(islice((key for key in made if key.keyid not in old), number))


def _settled_root(home: Path) -> Metadata[Root]:
    """The present root. Raises RepositoryBusy where a root was published, but not yet what it has others sign."""
    check_not_interrupted(home)
    return read_root(home)


def _stage(repository: TufRepository, root: Root, present: Metadata[Root] | None) -> RootProgress:
    days = timedelta(days=repository.settings.days_of(Root.type))
    root.expires = (repository.clock() + days).astimezone(UTC)
    return _advance(repository, Metadata(root), present, ())


def _advance(
    repository: TufRepository, staged: Metadata[Root], present: Metadata[Root] | None, keys: Sequence[RoleKey]
) -> RootProgress:
    """Sign with what is there, keep the result, and publish it once there are enough signatures."""
    wanted = {key.keyid: key for each in (present, staged) if each for key in keys_of(each.signed, Root.type)}
    for key in keys:
        if key.keyid not in wanted:
            raise DeliveryError(f"key {key.keyid[:12]} is not one of the root's: {', '.join(k[:12] for k in wanted)}")
    uris = {**repository.settings.key_uris, **{key.keyid: key.uri for key in keys}}
    unsigned = [key for keyid, key in wanted.items() if keyid not in staged.signatures]
    Signing(repository.home, uris).sign(staged, unsigned)
    write_atomically(staged_path(repository.home), staged.to_bytes())
    found = _progress(staged, present)
    if found.missing:
        return found
    try:
        if not _is_published(repository.home, staged):
            _publish(repository, staged, present)
    except KeyUnavailable as error:  # on a machine that has a root key only
        return replace(found, problem=str(error))
    staged_path(repository.home).unlink()
    return replace(found, published=True, unsigned=())


def _is_published(home: Path, staged: Metadata[Root]) -> bool:
    """Whether an interrupted command has published it completely."""
    if staged.signed.version not in root_versions(metadata_directory(home)):
        return False
    try:
        read_state(home, staged)
    except RepositoryDamaged:
        return False
    return True


def _publish(repository: TufRepository, root: Metadata[Root], present: Metadata[Root] | None) -> None:
    press = repository.press
    if present is None:
        repository.commit(first_edition(root, press))
        repository.write_root(root)
        return
    state = read_state(repository.home, present)
    before, after = (each.signed.roles[Targets.type] for each in (present, root))
    changed = {Targets.type: state.targets} if before != after else {}
    edition = next_edition(state, press, changed, root=root)
    if _holds_for(edition, present.signed):  # with both roots, so there is no moment without valid metadata
        repository.commit(edition)
        repository.write_root(root)
    else:
        repository.write_root(root)
        repository.commit(edition)


def _holds_for(edition: Edition, root: Root) -> bool:
    """Whether another root's keys have signed it too."""
    online: list[tuple[str, Metadata[Any]]] = [
        (role, metadata) for role, metadata in edition.state.every() if role in ONLINE
    ]
    try:
        for role, metadata in online:
            root.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
    except RepositoryError:
        return False
    return True


def _progress(staged: Metadata[Root], present: Metadata[Root] | None) -> RootProgress:
    result = staged.signed.get_root_verification_result(
        present.signed if present else None, staged.signed_bytes, staged.signatures
    )
    missing = max(each.missing for each in (result.first, result.second))
    return RootProgress(staged.signed.version, False, missing, tuple(sorted(result.unsigned)))


def _present(home: Path, staged_version: int) -> Metadata[Root] | None:
    """The root before the staged one; also where an interrupted command has published the staged one already."""
    return read_root(home, staged_version - 1) if staged_version > 1 else None
