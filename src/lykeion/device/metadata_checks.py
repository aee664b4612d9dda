"""What is checked of each file of TUF's metadata, as functions of its bytes."""
# pyright: reportPrivateImportUsage=false
# TUF's modules show names that they import.

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root, TargetFile, Targets

from .errors import UpdateRefused
from .signed_target import SignedTarget, read_target


@dataclass(frozen=True, slots=True)
class FoundTarget:
    """A record, and the download that has its file: ``name`` below the targets' address, its size and SHA-256."""

    record: SignedTarget
    name: str
    size_bytes: int
    sha256: str


def found_target(file: TargetFile) -> FoundTarget:
    """Raises UpdateRefused without a SHA-256 digest; RecordError, NewerRecord."""
    if "sha256" not in file.hashes:
        raise UpdateRefused(f"{file.path}: it is signed without a SHA-256 digest")
    folder, _, name = file.path.rpartition("/")
    sha256 = file.hashes["sha256"]
    return FoundTarget(read_target(file.custom, file.path), f"{folder}/{sha256}.{name}", file.length, sha256)


def self_signed_root(data: bytes) -> Metadata[Root]:
    """A root that is signed by its own keys. Raises RepositoryError."""
    root: Metadata[Root] = Metadata.from_bytes(data)
    if root.signed.type != Root.type:
        raise RepositoryError(f"it is {root.signed.type}, not root")
    root.signed.verify_delegate(Root.type, root.signed_bytes, root.signatures)
    return root


def next_root(trusted: Metadata[Root], data: bytes) -> Metadata[Root]:
    """The version after a trusted root, which has signed it too. Raises RepositoryError."""
    new = self_signed_root(data)
    trusted.signed.verify_delegate(Root.type, new.signed_bytes, new.signatures)
    if new.signed.version != trusted.signed.version + 1:
        raise RepositoryError(f"root {new.signed.version} instead of {trusted.signed.version + 1}")
    return new


def verified(
    data: bytes, kind: type[Any], delegator: Root | Targets, role: str = "", version: int | None = None
) -> Metadata[Any]:
    """Metadata of a kind that the delegator's keys have signed, in a version. Raises RepositoryError."""
    metadata: Metadata[Any] = Metadata.from_bytes(data)
    if metadata.signed.type != kind.type:
        raise RepositoryError(f"{role or kind.type} is {metadata.signed.type}")
    delegator.verify_delegate(role or kind.type, metadata.signed_bytes, metadata.signatures)
    if version is not None and metadata.signed.version != version:
        raise RepositoryError(f"{role or kind.type} {metadata.signed.version} instead of {version}")
    return metadata


def check_expiry(metadata: Metadata[Any], time: datetime) -> None:
    """Raises RepositoryError."""
    if metadata.signed.is_expired(time):
        raise RepositoryError(f"{metadata.signed.type} expired on {metadata.signed.expires:%Y-%m-%d}")
