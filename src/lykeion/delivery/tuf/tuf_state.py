"""The current metadata of a repository, read from its directory and verified.

What the timestamp leads to is current; files that an interrupted publication left are not seen. Signatures are
verified here too, so that nobody who can write to the directory but has no key gets anything signed.
"""
# pyright: reportPrivateImportUsage=false
# TUF's modules show names that they import.

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp
from tuf.api.serialization import DeserializationError

from lykeion.core import first_line, read_bounded
from lykeion.delivery.errors import RepositoryBusy, RepositoryDamaged

PUBLIC = "public"
"""The folder that a static host serves: metadata and targets."""
MAX_BYTES = 8 << 20

Kind = TypeVar("Kind", Root, Snapshot, Targets, Timestamp)


@dataclass(frozen=True)
class TufState:
    """``roles`` are targets, the models' roles and their bins, by name."""

    root: Metadata[Root]
    timestamp: Metadata[Timestamp]
    snapshot: Metadata[Snapshot]
    roles: Mapping[str, Metadata[Targets]]

    @property
    def targets(self) -> Targets:
        return self.roles[Targets.type].signed

    def every(self) -> Iterator[tuple[str, Metadata[Any]]]:
        """All metadata by role."""
        yield from ((Root.type, self.root), (Timestamp.type, self.timestamp), (Snapshot.type, self.snapshot))
        yield from self.roles.items()


def metadata_directory(home: Path) -> Path:
    return home / PUBLIC / "metadata"


def targets_directory(home: Path) -> Path:
    return home / PUBLIC / "targets"


def read_state(home: Path, root: Metadata[Root] | None = None) -> TufState:
    """As the newest root says, or another one. Raises RepositoryDamaged."""
    root = root or read_root(home)
    try:
        return _below(root, metadata_directory(home))
    except RepositoryError as error:
        raise RepositoryDamaged(f"{home}: {first_line(error)}; restore the repository from its backup") from None


def read_root(home: Path, version: int = 0) -> Metadata[Root]:
    """The newest root, or that of a version. Raises RepositoryDamaged."""
    directory = metadata_directory(home)
    version = version or max(root_versions(directory), default=0)
    if not version:
        raise RepositoryDamaged(
            f"{home}: its root has not been signed yet; add signatures with lykeion delivery sign"
        )
    root = _read(directory / f"{version}.root.json", Root)
    try:
        root.signed.verify_delegate(Root.type, root.signed_bytes, root.signatures)
    except RepositoryError as error:
        raise RepositoryDamaged(f"{directory / f'{version}.root.json'}: {first_line(error)}") from None
    return root


def root_versions(directory: Path) -> list[int]:
    found = (re.fullmatch(r"([1-9][0-9]{0,8})\.root\.json", path.name) for path in directory.glob("*.root.json"))
    return sorted(int(match[1]) for match in found if match)


def staged_path(home: Path) -> Path:
    return home / "staged" / "root.json"


def read_staged(home: Path) -> Metadata[Root] | None:
    """The root that collects signatures. Raises RepositoryDamaged."""
    path = staged_path(home)
    return _read(path, Root) if path.exists() else None


def check_not_interrupted(home: Path) -> None:
    """Raises RepositoryBusy where a root may have been published without what it has others sign."""
    staged = read_staged(home)
    if staged and staged.signed.version in root_versions(metadata_directory(home)):
        version = staged.signed.version
        raise RepositoryBusy(f"{home}: publishing root {version} was interrupted; run lykeion delivery sign")


def _below(root: Metadata[Root], directory: Path) -> TufState:
    timestamp = _read(directory / "timestamp.json", Timestamp)
    root.signed.verify_delegate(Timestamp.type, timestamp.signed_bytes, timestamp.signatures)
    meta = timestamp.signed.snapshot_meta
    snapshot = _read(directory / f"{meta.version}.snapshot.json", Snapshot, meta)
    root.signed.verify_delegate(Snapshot.type, snapshot.signed_bytes, snapshot.signatures)
    roles: dict[str, Metadata[Targets]] = {}

    def enter(name: str, delegator: Root | Targets) -> None:
        there = snapshot.signed.meta.get(f"{name}.json")
        if there is None:
            raise RepositoryError(f"the snapshot does not list {name}")
        role = _read(directory / f"{there.version}.{name}.json", Targets, there)
        delegator.verify_delegate(name, role.signed_bytes, role.signatures)
        roles[name] = role
        for inner in delegated(role.signed):
            enter(inner, role.signed)

    enter(Targets.type, root.signed)
    return TufState(root, timestamp, snapshot, roles)


def delegated(targets: Targets) -> list[str]:
    """The roles to which one delegates directly."""
    if targets.delegations is None:
        return []
    succinct = targets.delegations.succinct_roles
    return list(succinct.get_roles()) if succinct else list(targets.delegations.roles or ())


def _read(path: Path, kind: type[Kind], meta: Any = None) -> Metadata[Kind]:
    data = read_bounded(path, RepositoryDamaged, "metadata", limit=MAX_BYTES)
    try:
        if meta is not None:
            meta.verify_length_and_hashes(data)
        metadata: Metadata[Kind] = Metadata[kind].from_bytes(data)
    except (DeserializationError, RepositoryError) as error:
        raise RepositoryDamaged(f"{path}: {first_line(error)}; restore the repository from its backup") from None
    if metadata.signed.type != kind.type:
        raise RepositoryDamaged(f"{path}: it is {metadata.signed.type}, not {kind.type}")
    if meta is not None and metadata.signed.version != meta.version:
        raise RepositoryDamaged(f"{path}: it says version {metadata.signed.version}")
    return metadata
