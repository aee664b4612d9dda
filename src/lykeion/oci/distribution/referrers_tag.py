"""Referrers on registries without an API for them: the tag ``sha256-…`` points to an index that lists them.

Two clients that extend the index concurrently would lose an entry, and a registry cannot prevent it. So each referrer
also has its own tag, and every client that extends or reads the index adds missing entries.
https://github.com/opencontainers/distribution-spec, "Referrers Tag Schema"
"""

from dataclasses import replace
from typing import Protocol

from lykeion.core import NotFound, digest_bytes
from lykeion.oci import ContentError, Descriptor, ImageIndex, read_manifest
from lykeion.oci.manifest import read_index

from .errors import StoreError

_ROUNDS = 5
_PREFIX = "lykeion.refers."
_EARLIER = "_refers."
"""From earlier releases: some registries refuse tags that begin with an underscore, although they are valid."""


class _Registry(Protocol):
    def tags(self, repository: str) -> list[str]: ...
    def resolve(self, repository: str, tag: str) -> str | None: ...
    def manifest(self, repository: str, digest: str) -> bytes: ...
    def write(self, repository: str, manifests: list[bytes], tags: dict[str, str]) -> None: ...


def attach(registry: _Registry, repository: str, manifest: bytes, subject: str) -> None:
    digest = digest_bytes(manifest)
    registry.write(repository, [manifest], {_own_tag(subject, digest): digest})
    _mend(registry, repository, subject)


def referrers(registry: _Registry, repository: str, subject: str) -> list[Descriptor]:
    return list(_listed(registry, repository, subject))


def _mend(registry: _Registry, repository: str, subject: str) -> None:
    """Repeats until the index lists every referrer that has its own tag."""
    own = tuple(_own_tag(subject, "", prefix) for prefix in (_PREFIX, _EARLIER))
    for _ in range(_ROUNDS):
        index = _listed(registry, repository, subject)
        known = {entry.digest for entry in index}
        tags = [tag for tag in registry.tags(repository) if tag.startswith(own)]
        digests = {digest for tag in tags if (digest := registry.resolve(repository, tag))}
        if digests <= known:
            return
        missing = tuple(_describe(registry, repository, digest) for digest in sorted(digests - known))
        data = ImageIndex((*index, *missing)).to_bytes()
        registry.write(repository, [data], {_index_tag(subject): digest_bytes(data)})
    raise StoreError(f"{repository}: other clients keep changing the referrers of {subject}; try again")


def _listed(registry: _Registry, repository: str, subject: str) -> tuple[Descriptor, ...]:
    digest = registry.resolve(repository, _index_tag(subject))
    if digest is None:
        return ()
    try:
        return read_index(registry.manifest(repository, digest)).manifests
    except (ContentError, NotFound):
        return ()


def _describe(registry: _Registry, repository: str, digest: str) -> Descriptor:
    data = registry.manifest(repository, digest)
    manifest = read_manifest(data)
    descriptor = Descriptor(manifest.media_type, digest, len(data), artifact_type=manifest.artifact_type)
    return replace(descriptor, annotations=manifest.annotations)


def _index_tag(subject: str) -> str:
    return subject.replace(":", "-")


def _own_tag(subject: str, digest: str, prefix: str = _PREFIX) -> str:
    return f"{prefix}{subject.removeprefix('sha256:')[:32]}.{digest.removeprefix('sha256:')[:32]}"
