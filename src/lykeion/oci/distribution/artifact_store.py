"""What a store of artifacts can do, whether a directory or a registry: content by digest, and tags that point to it.

Both kinds pass the same tests (tests/registry/behaviour.py). What one of them lacks raises Unsupported.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol, TypeAlias

from lykeion.oci import Descriptor

MAX_READ = 16 * 2**20

Advance: TypeAlias = Callable[[int], None]
"""Hears how many more bytes were moved; of any thread."""


class ArtifactStore(Protocol):
    """``repository`` is a path in the store; a digest is found under the repository it was written to."""

    @property
    def host(self) -> str | None:
        """The registry's host; None for the store on this machine."""
        ...

    @property
    def compares(self) -> bool:
        """Whether ``write`` can compare and swap; it then also happens all at once."""
        ...

    def repositories(self) -> list[str]:
        """Raises Unsupported where a store cannot tell."""
        ...

    def tags(self, repository: str) -> list[str]:
        """All that the specification allows, the store's own records too; none for a repository that is not there."""
        ...

    def resolve(self, repository: str, tag: str) -> str | None:
        """The digest that a tag points to."""
        ...

    def holds(self, repository: str, digest: str) -> bool:
        """Whether a manifest of this digest is there."""
        ...

    def manifest(self, repository: str, digest: str) -> bytes:
        """Verified. Raises NotFound, ContentDamaged."""
        ...

    def write(
        self,
        repository: str,
        manifests: Sequence[bytes],
        tags: Mapping[str, str],
        expect: Mapping[str, str | None] | None = None,
    ) -> None:
        """Store manifests, as bytes, and point tags to digests, those of ``manifests`` or others that are there.

        ``expect`` says where tags must point beforehand, None for nowhere: raises Conflict otherwise, and Unsupported
        where ``compares`` is false. Blobs and the manifests that tags point to come first, so that an interruption
        leaves no tag that points to nothing.
        """
        ...

    def untag(self, repository: str, tag: str) -> None:
        """Raises NotFound, Unsupported."""
        ...

    def delete(self, repository: str, digest: str) -> None:
        """The manifest and all tags that point to it. Raises NotFound, Unsupported."""
        ...

    def referrers(self, repository: str, digest: str, artifact_type: str) -> list[Descriptor]:
        """Manifests whose subject is ``digest``; one that is listed need not be there."""
        ...

    def attach(self, repository: str, manifest: bytes) -> None:
        """Store a manifest that has a subject, so that ``referrers`` finds it. No concurrent one is lost."""
        ...

    def has(self, repository: str, digest: str) -> bool:
        """Whether a blob is there."""
        ...

    def put(self, repository: str, descriptor: Descriptor, source: bytes | Path, advance: Advance) -> None:
        """Store a blob if it is not there. Raises ContentDamaged where ``source`` is not what the descriptor says."""
        ...

    def mount(self, repository: str, descriptor: Descriptor, source: str) -> bool:
        """Take a blob over from another repository of this store; False if it must be put instead."""
        ...

    def read(self, repository: str, descriptor: Descriptor) -> bytes:
        """A blob of at most MAX_READ bytes, verified. Raises NotFound, ContentDamaged."""
        ...

    def fetch(self, repository: str, descriptor: Descriptor, path: Path, advance: Advance) -> None:
        """Write a blob to ``path``, resumed from what an interrupted fetch left there; verified.

        Raises NotFound, ContentDamaged (the file is then gone).
        """
        ...

    def busy(self) -> AbstractContextManager[None]:
        """While blobs are written or read that no tag holds yet: garbage is not collected meanwhile."""
        ...
