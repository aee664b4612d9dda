"""Garbage collection of the local store: manifests and blobs that nothing needs, found by mark and sweep.

Needed are manifests that a tag points to or the caller pins, their lineage, their referrers, and all blobs of these.
Records of moves are kept: they show which versions existed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lykeion.core import NotFound
from lykeion.oci import BlobMissing, ContentError, Descriptor, ImageIndex, ImageManifest
from lykeion.oci.distribution import MAX_READ, DiskStore

from .artifact.facts import FACTS, read_facts
from .errors import InvalidModel
from .model_names import parse, version_number


@dataclass(frozen=True, slots=True)
class Collected:
    """``manifests`` are "shoes:v3" or "shoes@sha256:…", as they were named."""

    manifests: tuple[str, ...]
    blobs: int
    size_bytes: int


def collect(
    store: DiskStore, *, pins: Iterable[str] = (), keep_versions: int | None = None, dry_run: bool = False
) -> Collected:
    """Remove what nothing needs. With ``keep_versions``, only that many of the newest versions of each model count as
    needed; the default is all.

    ``pins`` are references or digests. Waits for pushes and pulls in progress. If killed, it leaves a
    consistent store. Raises NotFound for an unknown pin.
    """
    if not store.root.exists():
        return Collected((), 0, 0)
    with store.layout.lock_content(exclusive=True):
        entries = store.entries()
        manifests = {entry.digest: store.layout.manifest(entry) for _, _, entry in entries}
        roots = {entry.digest for home, tag, entry in entries if _is_root(home, tag, entries, keep_versions)}
        roots |= {_pinned(store, pin) for pin in pins}
        needed = _needed(store, roots, manifests)
        gone = manifests.keys() - needed
        blobs = {blob for digest in needed for blob in (digest, *_blobs(manifests[digest]))} | _foreign(store)
        surplus = [digest for digest in store.layout.digests() if digest not in blobs]
        size = sum(store.layout.path_of(digest).stat().st_size for digest in surplus)
        if not dry_run:
            store.forget(set(gone))  # first the names, then their targets
            for digest in surplus:
                store.layout.remove_blob(digest)
            store.layout.sweep()
    named = {
        f"{home}:{tag}" if tag else f"{home}@{entry.digest}" for home, tag, entry in entries if entry.digest in gone
    }
    return Collected(tuple(sorted(named)), len(surplus), size)


def _is_root(
    home: str, tag: str | None, entries: list[tuple[str, str | None, Descriptor]], keep_versions: int | None
) -> bool:
    if tag is None:
        return False
    number = version_number(tag)
    if number is None or keep_versions is None:
        return True
    numbers = [n for other, t, _ in entries if other == home and t and (n := version_number(t))]
    return number in sorted(numbers, reverse=True)[:keep_versions]


def _pinned(store: DiskStore, pin: str) -> str:
    reference = parse(pin)
    digest = reference.digest or (store.resolve(reference.repository, reference.tag) if reference.tag else None)
    if reference.host or digest is None or not store.holds(reference.repository, digest):
        raise NotFound(f"{pin}: cannot be pinned, since it is not in {store.root}")
    return digest


def _needed(store: DiskStore, roots: set[str], manifests: Mapping[str, ImageManifest | ImageIndex]) -> set[str]:
    """Closure: lineage, members of indexes, and referrers."""
    attached: dict[str, list[str]] = {}
    for digest, manifest in manifests.items():
        if manifest.subject:
            attached.setdefault(manifest.subject.digest, []).append(digest)
    needed: set[str] = set()
    waiting = [digest for digest in roots if digest in manifests]
    while waiting:
        digest = waiting.pop()
        if digest in needed:
            continue
        needed.add(digest)
        manifest = manifests[digest]
        parts = [part.digest for part in manifest.manifests] if isinstance(manifest, ImageIndex) else []
        further = [*attached.get(digest, []), *parts, *_parents(store, manifest)]
        waiting += [other for other in further if other in manifests]
    return needed


def _parents(store: DiskStore, manifest: ImageManifest | ImageIndex) -> list[str]:
    if isinstance(manifest, ImageIndex):
        return []
    found: list[str] = []
    for layer in manifest.layers:
        if layer.media_type == FACTS:
            try:
                facts = read_facts(store.layout.read(layer, limit=MAX_READ))
            except (ContentError, InvalidModel):
                continue
            found += [digest for parent in facts.lineage.parents if (digest := parse(parent).digest)]
    return found


def _blobs(manifest: ImageManifest | ImageIndex) -> list[str]:
    return [part.digest for part in (manifest.manifests if isinstance(manifest, ImageIndex) else manifest.blobs)]


def _foreign(store: DiskStore) -> set[str]:
    """Entries that other tools added without a model's name: never removed."""
    known = {entry.digest for _, _, entry in store.entries()}
    found: set[str] = set()
    waiting = [entry for entry in store.layout.entries() if entry.digest not in known]
    while waiting:
        entry = waiting.pop()
        if entry.digest in found:
            continue
        found.add(entry.digest)
        try:
            manifest = store.layout.manifest(entry)
        except (BlobMissing, ContentError):
            continue
        found.update(_blobs(manifest))
        if isinstance(manifest, ImageIndex):
            waiting += manifest.manifests
    return found
