"""Images to and from a registry. The client is handed in: it is the model repository's, for anything OCI."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from lykeion.oci import Descriptor, Index, Layout, Manifest, Platform, read_manifest
from lykeion.oci.references import with_ref

from .errors import ImageError
from .image import manifests

Advance = Callable[[int], None]
Job = Callable[[Advance], None]
Transfer = Callable[[str, int, Iterable[Job]], None]
"""Runs jobs at once, under a title, with the bytes that all of them will move."""


class Registry(Protocol):
    """What is needed of a client; each method is about one repository of one registry."""

    def holds(self, repository: str, digest: str) -> bool: ...
    def manifest(self, repository: str, digest: str) -> bytes: ...
    def write(self, repository: str, manifests: Sequence[bytes], tags: Any) -> None: ...
    def referrers(self, repository: str, digest: str, artifact_type: str) -> list[Descriptor]: ...
    def attach(self, repository: str, manifest: bytes) -> None: ...
    def put(self, repository: str, descriptor: Descriptor, source: bytes | Path, advance: Advance) -> None: ...
    def fetch(self, repository: str, descriptor: Descriptor, path: Path, advance: Advance) -> None: ...


def push_image(
    layout: Layout, image: Descriptor, registry: Registry, repository: str, tag: str, transfer: Transfer
) -> None:
    """An image, all its platforms, and what is attached to it; the tag moves last. Raises the client's errors."""
    parts = manifests(layout, image)
    blobs = {blob.digest: blob for _, manifest in parts for blob in manifest.blobs}
    if not registry.holds(repository, image.digest):
        _put(layout, registry, repository, blobs.values(), f"pushing {repository}", transfer)
    documents = [layout.read(descriptor) for descriptor, _ in parts]
    if all(descriptor.digest != image.digest for descriptor, _ in parts):
        documents.append(layout.read(image))
    for document in documents[:-1]:  # an index comes after what it lists
        registry.write(repository, [document], {})
    registry.write(repository, documents[-1:], {tag: image.digest})
    for descriptor, _ in parts:
        _push_referrers(layout, descriptor, registry, repository, transfer)


def pull_image(
    registry: Registry,
    repository: str,
    digest: str,
    layout: Layout,
    transfer: Transfer,
    *,
    platforms: Sequence[Platform] = (),
    attached: bool = True,
) -> Descriptor:
    """Bring an image into a layout, without a reference: all of its platforms, or those given. Verified.

    With ``attached``, what refers to it comes along. Raises ImageError, and the client's errors.
    """
    image, document = _fetch_manifest(layout, registry, repository, digest)
    parts = {digest: document} if isinstance(document, Manifest) else {}
    for entry in document.manifests if isinstance(document, Index) else ():
        _, inner = _fetch_manifest(layout, registry, repository, entry.digest)
        if not isinstance(inner, Manifest):
            raise ImageError(f"{repository}@{digest} is an index of indexes; name one of those that it lists")
        if not platforms or (entry.platform and _is_one_of(entry.platform, platforms)):
            parts[entry.digest] = inner
    _fetch_blobs(layout, registry, repository, parts.values(), transfer)
    for part in parts if attached else ():
        for referrer in registry.referrers(repository, part, ""):
            entry, manifest = _fetch_manifest(layout, registry, repository, referrer.digest)
            if isinstance(manifest, Manifest):
                _fetch_blobs(layout, registry, repository, [manifest], transfer)
                entry = replace(entry, artifact_type=manifest.artifact_type)
                layout.update(partial(with_ref, descriptor=entry, ref=None))
    return image


def _push_referrers(
    layout: Layout, subject: Descriptor, registry: Registry, repository: str, transfer: Transfer
) -> None:
    known = {entry.digest for entry in registry.referrers(repository, subject.digest, "")}
    for entry in layout.referrers(subject.digest):
        manifest = layout.manifest(entry)
        if entry.digest not in known and isinstance(manifest, Manifest):
            _put(layout, registry, repository, manifest.blobs, f"attaching {entry.artifact_type}", transfer)
            registry.attach(repository, layout.read(entry))


def _put(
    layout: Layout,
    registry: Registry,
    repository: str,
    blobs: Iterable[Descriptor],
    title: str,
    transfer: Transfer,
) -> None:
    blobs = list(blobs)
    jobs = [partial(registry.put, repository, blob, layout.path_of(blob.digest)) for blob in blobs]
    transfer(title, sum(blob.size for blob in blobs), jobs)


def _fetch_manifest(
    layout: Layout, registry: Registry, repository: str, digest: str
) -> tuple[Descriptor, Manifest | Index]:
    data = registry.manifest(repository, digest)
    document = read_manifest(data)
    return layout.put(data, document.media_type), document


def _fetch_blobs(
    layout: Layout, registry: Registry, repository: str, parts: Iterable[Manifest], transfer: Transfer
) -> None:
    blobs = {blob.digest: blob for part in parts for blob in part.blobs if not layout.has(blob.digest)}
    jobs = [partial(_fetch, layout, registry, repository, blob) for blob in blobs.values()]
    transfer(f"pulling {repository}", sum(blob.size for blob in blobs.values()), jobs)


def _fetch(layout: Layout, registry: Registry, repository: str, blob: Descriptor, advance: Advance) -> None:
    partial_file = layout.root / "ingest" / f"{blob.digest.removeprefix('sha256:')}.partial"
    registry.fetch(repository, blob, partial_file, advance)
    layout.adopt(partial_file, blob)


def _is_one_of(platform: Platform, platforms: Sequence[Platform]) -> bool:
    return any((platform.os, platform.architecture) == (it.os, it.architecture) for it in platforms)
