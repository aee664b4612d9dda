"""What is checked of each file of TUF's metadata, as functions of its bytes."""
# pyright: reportPrivateImportUsage=false
# TUF's modules show names that they import.

from datetime import datetime
from typing import Any

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root, Targets


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
