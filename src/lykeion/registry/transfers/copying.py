"""Copying between stores, byte for byte: the digest stays, and signatures are copied too."""

from contextlib import suppress
from functools import partial
from pathlib import Path

from lykeion.core import CONSOLE, SILENT, NotFound, Reporter
from lykeion.oci import ContentError, Descriptor, ImageManifest, read_manifest
from lykeion.oci.distribution import Advance, ArtifactStore, InvalidReference, Reference, transfer
from lykeion.registry.aliases import ANYWHERE, move, write_version
from lykeion.registry.model_names import check_alias
from lykeion.registry.trust.policy import Policy, load_trusted

from .blob_cache import BlobCache
from .push import Pushed


def copy(
    source: tuple[ArtifactStore, Reference],
    target: tuple[ArtifactStore, Reference],
    *,
    policy: Policy | None = None,
    cache: BlobCache | None = None,
    coordinator: Path | None = None,
    reporter: Reporter = CONSOLE,
) -> Pushed:
    """Store a model as the next version of another reference, and point the reference's alias, if any, to it.

    Raises what ``push`` and ``pull`` raise.
    """
    (here, reference), (there, wanted) = source, target
    if wanted.digest:
        raise InvalidReference(f"{wanted}: copying keeps the digest; name an alias, or nothing")
    alias = check_alias(wanted.tag) if wanted.tag else None
    with here.busy(), there.busy():
        model, version = load_trusted(policy, here, reference), None
        digest, data = model.digest, model.data
        new = not there.holds(wanted.repository, digest)
        if new:
            _blobs(source, target, model.manifest, cache or BlobCache(), reporter)
            version = write_version(there, wanted.repository, data)
        known = {entry.digest for entry in there.referrers(wanted.repository, digest, "")}
        for referrer in here.referrers(reference.repository, digest, ""):
            if referrer.digest not in known:
                with suppress(NotFound, ContentError):  # a list may contain missing manifests
                    _referrer(source, target, referrer, cache or BlobCache())
    if alias:
        move(there, wanted.repository, alias, digest, expect=ANYWHERE, coordinator=coordinator)
    return Pushed(str(wanted.at(digest)), digest, version, alias, new, model.size_bytes)


def _referrer(
    source: tuple[ArtifactStore, Reference],
    target: tuple[ArtifactStore, Reference],
    referrer: Descriptor,
    cache: BlobCache,
) -> None:
    (here, reference), (there, wanted) = source, target
    data = here.manifest(reference.repository, referrer.digest)
    manifest = read_manifest(data)
    if isinstance(manifest, ImageManifest):
        _blobs(source, target, manifest, cache, SILENT)
        there.attach(wanted.repository, data)


def _blobs(
    source: tuple[ArtifactStore, Reference],
    target: tuple[ArtifactStore, Reference],
    manifest: ImageManifest,
    cache: BlobCache,
    reporter: Reporter,
) -> None:
    blobs = {blob.digest: blob for blob in manifest.blobs}
    jobs = [partial(_blob, source, target, cache, blob) for blob in blobs.values()]
    transfer(f"copying {source[1]}", sum(blob.size for blob in blobs.values()), jobs, reporter)


def _blob(
    source: tuple[ArtifactStore, Reference],
    target: tuple[ArtifactStore, Reference],
    cache: BlobCache,
    blob: Descriptor,
    advance: Advance,
) -> None:
    (here, reference), (there, wanted) = source, target
    if here.host == there.host and there.mount(wanted.repository, blob, reference.repository):
        advance(blob.size)
    elif not there.has(wanted.repository, blob.digest):
        path = cache.obtain(blob, lambda path: here.fetch(reference.repository, blob, path, _ignore))
        there.put(wanted.repository, blob, path, advance)
    else:
        advance(blob.size)


def _ignore(_count: int) -> None:
    pass
