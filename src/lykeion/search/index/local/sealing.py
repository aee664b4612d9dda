"""From memory to immutable files: sealing the log into a segment, and copies that share or duplicate those files."""

import os
import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from lykeion.core import write_atomically
from lykeion.search.index.errors import CorruptIndex, EmbedderMismatch, IndexFormatError
from lykeion.search.index.local.disk.lock import WriterLock
from lykeion.search.index.local.disk.log import Log
from lykeion.search.index.local.disk.store import Identity, Manifest, SegmentEntry, Store
from lykeion.search.index.local.memory.layers import SegmentLayer, bit, bits_of, mask_of, popcount
from lykeion.search.index.local.memory.state import State
from lykeion.search.index.segment.segment import Segment, hash_ids, take_segment, to_columns, write_segment


def seal(store: Store, state: State, identity: Identity) -> bool:
    """Write the tail as a segment, and deletions and changes as overlays; whether there was anything to write."""
    tail = state.tail
    rows = tail.live()
    dirty = any(layer.bits_changed or layer.patches.recent for layer in state.segments)
    if not tail.rows and not dirty and state.schema.columns == state.manifest.columns:
        return False
    entries = [entry for entry in (entry_of(store, layer, state) for layer in state.segments) if entry is not None]
    if rows:
        columns = to_columns(
            [tail.ids[row] for row in rows],
            [tail.photos[row] for row in rows],
            state.schema.to_table([tail.attributes(row) for row in rows]),
        )
        times = [tail.written[row] for row in rows]
        vectors = tail.vectors[: tail.rows][rows] if len(rows) < tail.rows else tail.vectors[: tail.rows]
        digest, _ = write_segment(store.segments, columns, vectors, "exact", written=(min(times), max(times)))
        entries = [entry for entry in entries if entry.digest != digest]
        entries.append(SegmentEntry(digest, len(rows)))
    commit(
        store,
        state.manifest.next(segments=tuple(entries), columns=dict(state.schema.columns), repeats=state.repeats),
    )
    return True


def commit(store: Store, manifest: Manifest) -> None:
    """Bring a manifest into force, with a new log."""
    Log.create(store.logs, manifest.log + 1)
    store.commit(replace(manifest, log=manifest.log + 1))


def entry_of(store: Store, layer: SegmentLayer, state: State) -> SegmentEntry | None:
    """The layer's entry in a manifest, its overlays written; None if no row of it is left."""
    entry = layer.entry
    if layer.bits_changed and layer.deleted is not None:
        deleted = popcount(layer.deleted)
        if deleted == layer.rows:
            return None
        entry = replace(entry, bits=store.write_bits(layer.deleted), deleted=deleted)
    if layer.patches.recent:
        digest = store.write_patches(layer.patches.to_table(state.schema))
        entry = replace(entry, patches=digest, patched=len(list(layer.patches.items())))
    return entry


def restore(store: Store, name: str) -> None:
    """Return to a snapshot or a past generation; the present state may be damaged. Raises NotFound.

    Only under the writer lock. The state comes into force under the next generation and log that were never used.
    """
    kept = store.kept(name)
    generation = max((int(path.stem) for path in (store.path / "manifests").glob("[0-9]*.json")), default=0)
    log = max((int(path.stem) for path in store.logs.glob("[0-9]*.log")), default=0)
    commit(store, replace(kept, generation=generation, log=log).next())


def restore_damaged(path: Path, name: str) -> None:
    """``restore`` for an index in the directory ``path`` that cannot be opened. Raises NotFound, IndexLocked."""
    store = Store(path)
    store.identity()
    lock = WriterLock(path / "LOCK")
    lock.take()
    try:
        restore(store, name)
    finally:
        lock.release()


def export(store: Store, manifest: Manifest, path: Path) -> None:
    """Copy one state into a new directory, which is an index when the last file is there."""
    if path.exists():
        raise IndexFormatError(f"{path} exists; an export goes to a new directory")
    copy = Store(path)
    for entry in manifest.segments:
        take_segment(store.segments / entry.digest, copy.segments, shutil.copy2)
    _take_overlays(store, copy, manifest.segments)
    for name in ("manifests", "overlays", "snapshots", "segments"):
        (path / name).mkdir(parents=True, exist_ok=True)
    write_atomically(path / "index.json", (store.path / "index.json").read_bytes())
    commit(copy, manifest)


def merge_from(store: Store, state: State, path: Path) -> None:
    """Link another index's segments into this one; rows of ours whose id comes again are deleted."""
    other = Store(path)
    ours, theirs = store.identity(), other.identity()
    if (ours.dimension, ours.metric, ours.dtype) != (theirs.dimension, theirs.metric, theirs.dtype):
        raise EmbedderMismatch(f"{path} holds {theirs.dtype} vectors of {theirs.dimension} under {theirs.metric}")
    if ours.embedder and theirs.embedder and ours.embedder != theirs.embedder:
        raise EmbedderMismatch(f"{path} holds vectors of another embedder, {theirs.embedder[:19]}…")
    manifest = other.current()
    if Log(other.logs, manifest.log, theirs.dimension, np.dtype(theirs.dtype)).size() > _EMPTY_LOG:
        raise IndexFormatError(f"{path} has writes that are not in a segment; `lykeion index compact` it first")
    schema = state.schema.joined(manifest.columns, where=str(path))  # pyright: ignore[reportArgumentType]
    have = {layer.segment.digest: layer for layer in state.segments}
    ours_now = {digest: layer.entry for digest, layer in have.items()}
    incoming = [entry for entry in manifest.segments if entry != ours_now.get(entry.digest)]
    added = [entry for entry in incoming if entry.digest not in have]
    for entry in added:
        take_segment(other.segments / entry.digest, store.segments, _link)
    _take_overlays(other, store, added)
    repeats = state.repeats or manifest.repeats
    for entry in incoming:
        segment = Segment(store.segments / entry.digest)
        deleted = other.read_bits(entry.bits, entry.rows) if entry.bits else None
        patches = other.read_patches(entry.patches) if entry.patches else None
        theirs_now = SegmentLayer(segment, entry, deleted, patches)
        for layer in state.segments:
            rows = _rows_of_same_products(layer, theirs_now)
            if rows:
                layer.delete(rows)
        if entry.digest in have:
            _become(have[entry.digest], theirs_now)
    entries = [entry for entry in (entry_of(store, layer, state) for layer in state.segments) if entry is not None]
    commit(
        store,
        state.manifest.next(segments=(*entries, *added), columns=dict(schema.columns), repeats=repeats),
    )


def problems(store: Store) -> list[str]:
    """What differs on disk from what was written, one line each."""
    found = store.damaged()
    for digest in sorted(store.named()):
        problems = _problems_of(store.segments / digest)
        if problems and digest in store.named():  # else it was compacted away meanwhile
            found += problems
    identity = store.identity()
    try:
        log = Log(store.logs, store.current().log, identity.dimension, np.dtype(identity.dtype))
        for _ in log.read_new():
            pass
        log.close()
    except CorruptIndex as error:
        found.append(str(error))
    except FileNotFoundError:
        pass  # a segment took its place meanwhile
    return found


def drop_damaged_kernels(store: Store, current: set[str]) -> None:
    """Remove them from segments that only snapshots and past states need."""
    for digest in store.named() - current:
        segment = Segment(store.segments / digest)
        if segment.kernel_problems():
            shutil.rmtree(segment.path / "kernel")


def _problems_of(segment: Path) -> list[str]:
    try:
        return Segment(segment).problems()
    except (CorruptIndex, IndexFormatError) as error:
        return [str(error)]
    except OSError as error:
        return [f"{error.filename}: {error.strerror}"]


_EMPTY_LOG = 12


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)


def _take_overlays(source: Store, target: Store, entries: Iterable[SegmentEntry]) -> None:
    for entry in entries:
        for name in (entry.bits and f"{entry.bits}.bits", entry.patches and f"{entry.patches}.arrow"):
            if name:
                write_atomically(target.path / "overlays" / name, (source.path / "overlays" / name).read_bytes())


def _become(layer: SegmentLayer, incoming: SegmentLayer) -> None:
    """Let the live rows of ``incoming``, the same segment, be live in ``layer`` too, with their attributes."""
    live = np.ones(layer.rows, bool) if incoming.deleted is None else ~mask_of(incoming.deleted, layer.rows)
    if layer.deleted is not None:
        layer.deleted, layer.bits_changed = layer.deleted & ~bits_of(live), True
    patched = {row for patches in (layer.patches, incoming.patches) for row, _ in patches.items()}
    for row in patched:
        if live[row]:
            layer.set_attributes(row, incoming.attributes(row))


def _rows_of_same_products(layer: SegmentLayer, incoming: SegmentLayer) -> list[int]:
    """Live rows of ``layer`` whose product has a live row in ``incoming``."""
    common = np.intersect1d(layer.segment.hashes, incoming.segment.hashes)
    candidates = [row for _, rows in incoming.segment.find(common) for row in rows.tolist()]
    ids = list({incoming.id(row) for row in candidates if not bit(incoming.deleted, row)})
    return [row for _, row in layer.find(ids, hash_ids(ids))]
