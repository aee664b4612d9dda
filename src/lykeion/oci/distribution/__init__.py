"""Artifacts by digest and tag, in a directory or in any OCI registry: one protocol, ``ArtifactStore``, for both.

    store = RemoteStore(Transport("registry.example.com"))
    digest = store.resolve("shop/search", "v1")

Specification: opencontainers/distribution-spec 1.1. Tests hand a store, or a transport, of their own in.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .artifact_store import MAX_READ, Advance, ArtifactStore
    from .blob_transfers import transfer
    from .disk_store import DiskStore
    from .errors import InvalidReference, StoreError
    from .reference import Reference, is_digest, parse_reference
    from .remote_store import RemoteStore
    from .transport import Transport

_HOMES = {
    "MAX_READ": "artifact_store",
    "Advance": "artifact_store",
    "ArtifactStore": "artifact_store",
    "DiskStore": "disk_store",
    "InvalidReference": "errors",
    "Reference": "reference",
    "RemoteStore": "remote_store",
    "StoreError": "errors",
    "Transport": "transport",
    "is_digest": "reference",
    "parse_reference": "reference",
    "transfer": "blob_transfers",
}

__all__ = [
    "MAX_READ",
    "Advance",
    "ArtifactStore",
    "DiskStore",
    "InvalidReference",
    "Reference",
    "RemoteStore",
    "StoreError",
    "Transport",
    "is_digest",
    "parse_reference",
    "transfer",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
