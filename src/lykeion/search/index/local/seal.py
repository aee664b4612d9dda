"""From memory to immutable files: the log becomes a segment, changes become overlays, and a manifest names them."""

from dataclasses import replace

from lykeion.search.index.local.disk.log import Log
from lykeion.search.index.local.disk.store import Manifest, SegmentEntry, Store
from lykeion.search.index.local.memory.layers import SegmentLayer, popcount
from lykeion.search.index.local.memory.state import State
from lykeion.search.index.segment.segment import to_columns, write_segment


def seal(store: Store, state: State) -> bool:
    """Write the tail as a segment, and deletions and changes as overlays. Returns whether anything was written."""
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
    """Make a manifest the current one, with a new log."""
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
