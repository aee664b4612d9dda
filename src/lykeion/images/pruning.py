"""Freeing disk space: unnamed images, and the caches of builds and runs."""

from collections.abc import Iterable
from dataclasses import dataclass

from lykeion.core import Unavailable, writing
from lykeion.oci import Descriptor, ImageManifest, Layout, ref_of

from .building.build_cache import BuildCache
from .image import find_image
from .running.image_roots import remove_unused_roots


@dataclass(frozen=True)
class Pruned:
    blobs: int
    size_bytes: int


def prune(layout: Layout, names: Iterable[str] = (), *, caches: bool = False) -> Pruned:
    """Remove ``names``, then all blobs that no named image or its attached documents need; with ``caches`` also the
    caches of builds and runs, but for images that run.

    Waits for writers of the layout and builds, and blocks them. Raises ContentError, ImageError, Unavailable.
    """
    for name in names:
        layout.remove_ref(name, expect=find_image(layout, name).digest)
    with writing(layout.root, Unavailable), layout.lock_content(exclusive=True):
        kept = _needed(layout)
        layout.update(lambda entries: tuple(entry for entry in entries if entry.digest in kept))
        gone = [digest for digest in layout.digests() if digest not in kept]
        size = sum(layout.path_of(digest).stat().st_size for digest in gone)
        for digest in gone:
            layout.remove_blob(digest)
        layout.sweep()
    if caches:
        BuildCache().empty()
        remove_unused_roots()
    return Pruned(len(gone), size)


def _needed(layout: Layout) -> set[str]:
    needed: set[str] = set()
    waiting = []
    for entry in layout.entries():
        if ref_of(entry):
            _add(layout, entry, needed)
        elif layout.has(entry.digest):
            waiting.append(entry)
    subjects = {entry.digest: layout.manifest(entry).subject for entry in waiting}
    while attached := [it for it in waiting if (subject := subjects[it.digest]) and subject.digest in needed]:
        for entry in attached:  # and then their referrers
            _add(layout, entry, needed)
        waiting = [entry for entry in waiting if entry not in attached]
    return needed


def _add(layout: Layout, descriptor: Descriptor, needed: set[str]) -> None:
    needed.add(descriptor.digest)
    document = layout.manifest(descriptor)
    if isinstance(document, ImageManifest):
        needed.update(blob.digest for blob in document.blobs)
        return
    for entry in document.manifests:
        if layout.has(entry.digest):  # possibly only one platform of an index was fetched
            _add(layout, entry, needed)
