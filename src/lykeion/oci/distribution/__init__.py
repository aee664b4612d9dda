"""Artifacts by digest and tag, in a directory or in any OCI registry: one protocol, ``ArtifactStore``, for both.

    store = RemoteStore(Transport("registry.example.com"))
    digest = store.resolve("shop/search", "v1")

Specification: opencontainers/distribution-spec 1.1. Tests may pass in their own store or transport.
"""

from typing import TYPE_CHECKING

from lykeion.core.lazy import lazy

if TYPE_CHECKING:
    from .artifact_store import MAX_READ, Advance, ArtifactStore
    from .blob_transfers import transfer
    from .disk_store import DiskStore
    from .errors import InvalidReference, StoreError
    from .reference import Reference, canonical_place, is_digest, parse_reference
    from .remote_store import RemoteStore
    from .schemes import SCHEMES_VARIABLE, named_schemes, speaking
    from .transport import Transport

__all__ = [
    "MAX_READ", "SCHEMES_VARIABLE", "Advance", "ArtifactStore", "DiskStore", "InvalidReference", "Reference",
    "RemoteStore", "StoreError", "Transport", "canonical_place", "is_digest", "named_schemes",
    "parse_reference", "speaking", "transfer",
]  # fmt: skip
__getattr__ = lazy(__name__)
