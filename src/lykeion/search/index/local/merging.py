"""Merging the segments of another index."""

from pathlib import Path

import numpy as np

from lykeion.search.index.errors import EmbedderMismatch
from lykeion.search.index.local.disk.store import Store
from lykeion.search.index.local.memory.layers import SegmentLayer, bit, bits_of, mask_of
from lykeion.search.index.local.memory.state import State
from lykeion.search.index.segment.rewriting import link_or_copy
from lykeion.search.index.segment.segment import Segment, hash_ids

from .seal import commit, entry_of


def merge_from(store: Store, state: State, path: Path) -> None:
    """Link another index's segments into this one; existing rows whose ids occur there are deleted.

    Requires the locks of both; rows that are still in the other's log are not included.
    """
    other = Store(path)
    ours, theirs = store.identity(), other.identity()
    for what in ("dimension", "metric", "dtype"):
        if (holds := getattr(theirs, what)) != (wanted := getattr(ours, what)):
            raise EmbedderMismatch.of(path, what, holds, wanted)
    if ours.embedder and theirs.embedder and ours.embedder != theirs.embedder:
        raise EmbedderMismatch.of(path, "embedder", theirs.embedder, ours.embedder)
    manifest = other.current()
    schema = state.schema.joined(manifest.columns, where=str(path))  # pyright: ignore[reportArgumentType]
    have = {layer.segment.digest: layer for layer in state.segments}
    ours_now = {digest: layer.entry for digest, layer in have.items()}
    incoming = [entry for entry in manifest.segments if entry != ours_now.get(entry.digest)]
    added = [entry for entry in incoming if entry.digest not in have]
    store.take(other, added, link_or_copy)
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


def _become(layer: SegmentLayer, incoming: SegmentLayer) -> None:
    """Make the live rows of ``incoming``, the same segment, live in ``layer`` too, with their attributes."""
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
