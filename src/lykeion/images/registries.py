"""Images to and from a registry, with attached documents."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from lykeion.core import CONSOLE, SILENT, NotFound, Reporter, Unavailable, locked, writing
from lykeion.oci import (
    ContentError,
    Descriptor,
    ImageIndex,
    ImageManifest,
    Layout,
    Platform,
    distribution,
    read_manifest,
    with_ref,
)
from lykeion.oci.distribution import (
    Advance,
    ArtifactStore,
    Reference,
    parse_reference,
    transfer,
)

from .errors import ImageError, NoSuchImage
from .image import find_image, manifests, platform_entries

LIMIT_REFERRERS = 256


@dataclass(frozen=True)
class _Repository:
    """One repository of ``store``, and the layout of the images."""

    layout: Layout
    store: ArtifactStore
    name: str
    reporter: Reporter

    def put(self, blobs: Iterable[Descriptor], title: str) -> None:
        blobs = list(blobs)
        jobs = [partial(self.store.put, self.name, blob, self.layout.path_of(blob.digest)) for blob in blobs]
        transfer(title, sum(blob.size for blob in blobs), jobs, self.reporter)

    def fetch_manifest(self, digest: str) -> tuple[Descriptor, ImageManifest | ImageIndex]:
        data = self.store.manifest(self.name, digest)
        document = read_manifest(data)
        return self.layout.put(data, document.media_type), document

    def fetch_blobs(self, parts: Iterable[ImageManifest]) -> None:
        blobs = {blob.digest: blob for part in parts for blob in part.blobs if not self.layout.holds(blob)}
        jobs = [partial(self._fetch, blob) for blob in blobs.values()]
        transfer(f"pulling {self.name}", sum(blob.size for blob in blobs.values()), jobs, self.reporter)

    def _fetch(self, blob: Descriptor, advance: Advance) -> None:
        """Concurrent pulls wait for each other and fetch each blob once."""
        part = self.layout.root / "ingest" / f"{blob.digest.removeprefix('sha256:')}.partial"
        lock = part.with_suffix(".lock")
        with locked(lock):
            if self.layout.has(blob.digest):
                advance(blob.size)
            else:
                self.store.fetch(self.name, blob, part, advance)
                self.layout.adopt(part, blob)
            lock.unlink()


def image_reference(text: str) -> Reference:
    """The name of an image in a registry. Raises ImageError for a name without a registry, InvalidReference."""
    reference = parse_reference(text, "image")
    if reference.host is None:
        raise ImageError(f"{text} is not in a registry; write it like registry.example.com/shop/search:v1")
    return reference


def image_digest(
    layout: Layout, name: str, *, transport: Callable[[str], distribution.Transport] | None = None
) -> str:
    """The digest of an image in the layout, or else in its registry, to which ``transport`` makes the connections.

    Raises NoSuchImage, NotFound, InvalidReference, StoreError, Refused.
    """
    try:
        return find_image(layout, name).digest
    except NoSuchImage:
        if not is_in_registry(name):
            raise
    source = image_reference(name)
    store = distribution.RemoteStore(transport(source.host or "")) if transport else None
    return _digest(_repository(layout, source, store, SILENT), source)


def is_in_registry(name: str) -> bool:
    """Whether the name of an image has a registry, from which it can be pulled."""
    return parse_reference(name, "image").host is not None


def push_image(
    layout: Layout,
    image: Descriptor,
    target: Reference,
    *,
    store: ArtifactStore | None = None,
    reporter: Reporter = CONSOLE,
) -> None:
    """Push an image, all its platforms, and attached documents; the tag moves last.

    ``store`` is the registry, by default the one at the target's host. Raises ImageError for a target without
    a tag, StoreError, Refused.
    """
    if not target.tag:
        raise ImageError(f"{target} has no tag; write it like registry.example.com/shop/search:v1")
    there = _repository(layout, target, store, reporter)
    parts = manifests(layout, image)
    if not there.store.holds(there.name, image.digest):
        blobs = {blob.digest: blob for _, manifest in parts for blob in manifest.blobs}
        there.put(blobs.values(), f"pushing {there.name}")
    documents = [layout.read(descriptor) for descriptor, _ in parts]
    if all(descriptor.digest != image.digest for descriptor, _ in parts):
        documents.append(layout.read(image))
    for document in documents[:-1]:  # an index follows its entries
        there.store.write(there.name, [document], {})
    there.store.write(there.name, documents[-1:], {target.tag: image.digest})
    for descriptor, _ in parts:
        _push_referrers(there, descriptor)


def pull_image(
    source: Reference,
    layout: Layout,
    *,
    ref: str | None = None,
    platforms: Sequence[Platform] = (),
    attached: bool = True,
    store: ArtifactStore | None = None,
    reporter: Reporter = CONSOLE,
) -> Descriptor:
    """Pull an image into a layout, under ``ref`` or without a reference: all of its platforms, or those given.

    All content is verified. With ``attached``, referrers are pulled too. The default tag of the source is ``latest``.
    Raises NotFound, ImageError, ContentDamaged, StoreError, Refused, Unavailable.
    """
    here = _repository(layout, source, store, reporter)
    with writing(layout.root, Unavailable, "free disk space, and pull again to resume"), layout.lock_content():
        image, document = here.fetch_manifest(_digest(here, source))
        parts = {image.digest: document} if isinstance(document, ImageManifest) else {}
        for entry in platform_entries(document) if isinstance(document, ImageIndex) else ():
            _, inner = here.fetch_manifest(entry.digest)
            if not isinstance(inner, ImageManifest):
                raise ImageError(f"{source} is an index of indexes; name one that it lists")
            if not platforms or (entry.platform and _is_one_of(entry.platform, platforms)):
                parts[entry.digest] = inner
        here.fetch_blobs(parts.values())
        for part in parts if attached else ():
            _pull_referrers(here, part)
        if ref:
            layout.set_ref(ref, image)
    return image


def _repository(layout: Layout, reference: Reference, store: ArtifactStore | None, reporter: Reporter) -> _Repository:
    if store is None:
        store = distribution.RemoteStore(distribution.Transport(reference.host or ""))
    return _Repository(layout, store, reference.repository, reporter)


def _digest(here: _Repository, source: Reference) -> str:
    digest = source.digest or here.store.resolve(here.name, source.tag or "latest")
    if digest is None:
        raise NotFound(f"{source}: no such image")
    return digest


def _push_referrers(there: _Repository, subject: Descriptor) -> None:
    known = {entry.digest for entry in there.store.referrers(there.name, subject.digest, "")}
    for entry in there.layout.referrers(subject.digest):
        manifest = there.layout.manifest(entry)
        if entry.digest not in known and isinstance(manifest, ImageManifest):
            there.put(manifest.blobs, f"attaching {entry.artifact_type}")
            there.store.attach(there.name, there.layout.read(entry))


def _pull_referrers(here: _Repository, subject: str) -> None:
    """Referrers, without damaged or missing ones: anyone may attach documents, which the image does not need."""
    referrers = here.store.referrers(here.name, subject, "")
    if len(referrers) > LIMIT_REFERRERS:
        here.reporter.notice(f"{subject} has {len(referrers):,} referrers; only {LIMIT_REFERRERS} are pulled")
    for referrer in referrers[:LIMIT_REFERRERS]:
        try:
            entry, manifest = here.fetch_manifest(referrer.digest)
            if not isinstance(manifest, ImageManifest):
                continue
            here.fetch_blobs([manifest])
        except (NotFound, ContentError) as error:
            here.reporter.notice(f"skipped an attached document: {error}")
            continue
        entry = replace(entry, artifact_type=manifest.artifact_type)
        here.layout.update(partial(with_ref, descriptor=entry, ref=None))


def _is_one_of(platform: Platform, platforms: Sequence[Platform]) -> bool:
    return any((platform.os, platform.architecture) == (it.os, it.architecture) for it in platforms)
