"""The interface of artifact stores, directories and registries: content by digest, and tags that point to it.

Both kinds pass the same tests (tests/registry/behaviour.py). Operations that one of them lacks raise Unsupported.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol, TypeAlias

from lykeion.oci import Descriptor

MAX_READ = 16 * 2**20

Advance: TypeAlias = Callable[[int], None]
"""Called with the number of bytes just transferred, from any thread."""


class ArtifactStore(Protocol):
    """``repository`` is a path in the store; a digest is found under the repository it was written to."""

    @property
    def host(self) -> str | None:
        """The registry's host; None for the store on this machine."""
        ...

    @property
    def compares(self) -> bool:
        """Whether ``write`` can compare and swap; it is then also atomic."""
        ...

    def repositories(self) -> list[str]:
        """Raises Unsupported if the store cannot list them."""
        ...

    def tags(self, repository: str) -> list[str]:
        """All that the specification allows, including the store's own records; none for an unknown repository."""
        ...

    def resolve(self, repository: str, tag: str) -> str | None:
        """The digest that a tag points to."""
        ...

    def holds(self, repository: str, digest: str) -> bool:
        """Whether a manifest with this digest exists."""
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
        """Store manifests, as bytes, and point tags to digests of ``manifests`` or of manifests in the store.

        ``expect`` says where tags must point before, None for nowhere: raises Conflict otherwise, and Unsupported if
        ``compares`` is false. Blobs and manifests are written before the tags that need them, so that an interruption
        leaves no dangling tag.
        """
        ...

    def untag(self, repository: str, tag: str) -> None:
        """Raises NotFound, Unsupported."""
        ...

    def delete(self, repository: str, digest: str) -> None:
        """The manifest and all tags that point to it. Raises NotFound, Unsupported."""
        ...

    def referrers(self, repository: str, digest: str, artifact_type: str) -> list[Descriptor]:
        """Manifests whose subject is ``digest``; a listed one may be missing."""
        ...

    def attach(self, repository: str, manifest: bytes) -> None:
        """Store a manifest that has a subject, so that ``referrers`` finds it. Concurrent calls do not lose any."""
        ...

    def has(self, repository: str, digest: str) -> bool:
        """Whether a blob exists."""
        ...

    def put(self, repository: str, descriptor: Descriptor, source: bytes | Path, advance: Advance) -> None:
        """Store a blob if it does not exist. Raises ContentDamaged if ``source`` does not match the descriptor."""
        ...

    def mount(self, repository: str, descriptor: Descriptor, source: str) -> bool:
        """Mount a blob from another repository of this store; False if it must be put instead."""
        ...

    def read(self, repository: str, descriptor: Descriptor) -> bytes:
        """A blob of at most MAX_READ bytes, verified. Raises NotFound, ContentDamaged."""
        ...

    def fetch(self, repository: str, descriptor: Descriptor, path: Path, advance: Advance) -> None:
        """Write a blob to ``path``, resumed from what an interrupted fetch left there; verified.

        Raises NotFound, ContentDamaged (the file is then removed).
        """
        ...

    def busy(self) -> AbstractContextManager[None]:
        """Hold it while writing or reading blobs that no tag refers to yet: it prevents garbage collection."""
        ...
