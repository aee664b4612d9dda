"""The next state of a repository: new versions of the roles that change, and of what lists them, signed.

An edition is bytes by file name in the order in which they must be written: each file is listed only by later ones,
and ``timestamp.json`` comes last, so a reader sees the state before or the state after.
"""
# pyright: reportPrivateImportUsage=false
# TUF's modules show names that they import.

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Key, Metadata, MetaFile, Root, Snapshot, Targets, Timestamp

from lykeion.core import first_line
from lykeion.delivery.errors import KeyUnavailable

from .delivery_settings import DeliverySettings
from .signing_keys import Signing
from .tuf_state import TufState, delegated

TIMESTAMP_FILE = "timestamp.json"


@dataclass(frozen=True)
class Edition:
    state: TufState
    files: Sequence[tuple[str, bytes]]


@dataclass(frozen=True)
class Press:
    """What signing an edition takes. ``now`` is in UTC."""

    settings: DeliverySettings
    signing: Signing
    now: datetime

    def signed(self, role: str, signed: Any, delegator: Root | Targets, extra: Iterable[Key] = ()) -> Metadata[Any]:
        """Metadata with a new expiry, signed by a role's keys; by the ``extra`` ones where they are there.

        Raises KeyUnavailable where the role's threshold is not met.
        """
        signed.expires = (self.now + timedelta(days=self.settings.days_of(role))).astimezone(UTC)
        metadata: Metadata[Any] = Metadata(signed)
        own = keys_of(delegator, role)
        problems = self.signing.sign(metadata, own)
        self.signing.sign(metadata, [key for key in extra if key.keyid not in {each.keyid for each in own}])
        try:
            delegator.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
        except RepositoryError as error:
            raise KeyUnavailable(f"{role} is not signed: {'; '.join(problems) or first_line(error)}") from None
        return metadata


def keys_of(delegator: Root | Targets, role: str) -> list[Key]:
    return [delegator.get_key(keyid) for keyid in delegator.get_delegated_role(role).keyids]


def next_edition(
    state: TufState,
    press: Press,
    changed: Mapping[str, Targets],
    *,
    root: Metadata[Root] | None = None,
    new_snapshot: bool = True,
) -> Edition:
    """The edition in which the ``changed`` roles, and no others, have new content. The timestamp always does, the
    snapshot unless nothing else changes and no ``new_snapshot`` is asked for.

    With ``root`` its keys sign, and those of the present root too where they are there. Raises KeyUnavailable.
    """
    top, old = (root or state.root).signed, state.root.signed
    targets = changed.get(Targets.type, state.targets)
    roles, files, listed = dict(state.roles), list[tuple[str, bytes]](), deepcopy(state.snapshot.signed.meta)
    for name in sorted(changed, key=lambda name: name == Targets.type):
        content = deepcopy(changed[name])
        content.version = listed[f"{name}.json"].version + 1 if f"{name}.json" in listed else 1
        delegator = top if name == Targets.type else _delegator_of(name, targets, changed, state)
        extra = keys_of(old, name) if name == Targets.type else ()
        roles[name] = press.signed(name, content, delegator, extra)
        files.append((f"{content.version}.{name}.json", roles[name].to_bytes()))
        listed[f"{name}.json"] = _meta(roles[name])
    snapshot = state.snapshot
    if changed or new_snapshot:
        content = Snapshot(snapshot.signed.version + 1, meta=listed)
        snapshot = press.signed(Snapshot.type, content, top, keys_of(old, Snapshot.type))
        files.append((f"{content.version}.snapshot.json", snapshot.to_bytes()))
    told = Timestamp(state.timestamp.signed.version + 1, snapshot_meta=_meta(snapshot))
    timestamp = press.signed(Timestamp.type, told, top, keys_of(old, Timestamp.type))
    files.append((TIMESTAMP_FILE, timestamp.to_bytes()))
    return Edition(TufState(root or state.root, timestamp, snapshot, roles), files)


def first_edition(root: Metadata[Root], press: Press) -> Edition:
    """The edition of a new repository, without models. Raises KeyUnavailable."""
    targets = press.signed(Targets.type, Targets(1), root.signed)
    snapshot = press.signed(Snapshot.type, Snapshot(1, meta={"targets.json": _meta(targets)}), root.signed)
    timestamp = press.signed(Timestamp.type, Timestamp(1, snapshot_meta=_meta(snapshot)), root.signed)
    files = [("1.targets.json", targets), ("1.snapshot.json", snapshot), (TIMESTAMP_FILE, timestamp)]
    state = TufState(root, timestamp, snapshot, {Targets.type: targets})
    return Edition(state, [(name, each.to_bytes()) for name, each in files])


def _delegator_of(name: str, targets: Targets, changed: Mapping[str, Targets], state: TufState) -> Targets:
    """Who delegates to a model's role or to one of its bins."""
    if targets.delegations and name in (targets.delegations.roles or {}):
        return targets
    for model in delegated(targets):
        there = changed.get(model) or state.roles[model].signed
        succinct = there.delegations and there.delegations.succinct_roles
        if succinct and succinct.is_delegated_role(name):
            return there
    raise KeyUnavailable(f"nobody delegates to {name}")


def _meta(metadata: Metadata[Any]) -> MetaFile:
    return MetaFile.from_data(metadata.signed.version, metadata.to_bytes(), ["sha256"])
