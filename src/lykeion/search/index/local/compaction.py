"""Compaction: choosing segments to merge (a pure function), and merging them while searches and writes continue.

A merge reads immutable segments without any lock, writes a new one, and then, under the writer lock, swaps it in and
applies the deletions and changes made in the meantime.
"""

import os
import sys
import threading
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from lykeion.search.index.local.disk.store import Identity, SegmentEntry, Store
from lykeion.search.index.local.memory.layers import Patches, SegmentLayer, mask_of, popcount, with_bits
from lykeion.search.index.local.memory.state import State
from lykeion.search.index.schema import Schema
from lykeion.search.index.segment.codes import EXACT_ROWS, Kind, kind_for
from lykeion.search.index.segment.segment import write_segment

from .seal import commit

MAX_ROWS = 40_000_000
"""Segments are not merged beyond this many rows."""
_FORCED_ROWS = 8
"""A kernel that was requested by name is built from this many rows on."""
_HOUR, _DAY, _MONTH = "%Y-%m-%dT%H", "%Y-%m-%d", "%Y-%m"


@dataclass(frozen=True)
class SegmentSize:
    """What ``plan`` needs to know about a segment. ``written``: oldest and newest row, seconds since 1970.

    ``outdated``: its graph is of an older format (Segment.outdated).
    """

    digest: str
    rows: int
    deleted: int
    patched: int
    kind: Kind
    written: tuple[float, float]
    outdated: bool = False

    @property
    def live(self) -> int:
        return self.rows - self.deleted


@dataclass(frozen=True)
class Merge:
    """The segments to merge into one."""

    segments: tuple[str, ...]


def size_of(layer: SegmentLayer) -> SegmentSize:
    segment = layer.segment
    deleted, patched = popcount(layer.deleted), len(layer.patches)
    return SegmentSize(segment.digest, layer.rows, deleted, patched, segment.kind, segment.written, segment.outdated)


def chosen_kind(rows: int, kernel: str) -> Kind:
    """The kernel of a segment of this many rows; ``kernel`` is "auto" or the name of one."""
    if kernel == "auto":
        return kind_for(rows)
    return kernel if rows >= _FORCED_ROWS and kernel in ("hnsw", "ivf") else "exact"  # pyright: ignore


def plan(
    sizes: Sequence[SegmentSize], *, policy: str = "size", now: float = 0.0, full: bool = False, kernel: str = "auto"
) -> Merge | None:
    """The next merge that is due, if any.

    Policy "size": a segment is merged with all smaller ones once these together have half its rows, so that the
    number of segments stays logarithmic. Policy "time": the segments of a past hour become one, then those of a past
    day, then of a past month (UTC); within the current hour, policy "size" applies. With both, a segment of which a
    quarter is deleted or half is changed is rewritten, and so is one that should have a kernel and has none. ``full``
    merges all into one, unless there is only one, up to date and without waste.
    """
    if full and (len(sizes) > 1 or any(size.deleted or size.patched or size.outdated for size in sizes)):
        return Merge(tuple(size.digest for size in sizes))
    for size in sizes:
        lacks_kernel = size.kind != chosen_kind(size.live, kernel) and (kernel != "auto" or size.live > EXACT_ROWS)
        if 4 * size.deleted > size.rows or 2 * size.patched > size.rows or (lacks_kernel and size.kind == "exact"):
            return Merge((size.digest,))
    if policy == "time":
        for period in (_MONTH, _DAY, _HOUR):
            by_bucket: dict[str, list[SegmentSize]] = defaultdict(list)
            for size in sizes:
                if (then := _within(period, size.written[1])) != _within(period, now):
                    by_bucket[then].append(size)
            for group in by_bucket.values():
                if len(group) > 1 and sum(size.live for size in group) <= MAX_ROWS:
                    return Merge(tuple(size.digest for size in group))
        sizes = [size for size in sizes if _within(_HOUR, size.written[1]) == _within(_HOUR, now)]
    return _plan_by_size(sizes)


def _plan_by_size(sizes: Sequence[SegmentSize]) -> Merge | None:
    ordered = sorted(sizes, key=lambda size: -size.live)
    for first, size in enumerate(ordered):
        smaller = sum(other.live for other in ordered[first + 1 :])
        if first + 1 < len(ordered) and 2 * smaller >= size.live and smaller + size.live <= MAX_ROWS:
            return Merge(tuple(other.digest for other in ordered[first:]))
    return None


def _within(period: str, at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime(period)


# --- performing a merge ---


class MergeSource:
    """A segment as it is when a merge begins. ``rows`` are the live ones, in the order in which they are merged."""

    def __init__(self, layer: SegmentLayer, schema: Schema) -> None:
        self.segment, self.deleted, self.schema = layer.segment, layer.deleted, schema
        self._patches = Patches(layer.patches.table, dict(layer.patches.recent))
        live = np.ones(layer.rows, bool) if layer.deleted is None else ~mask_of(layer.deleted, layer.rows)
        patches = dict(self._patches.items())
        patched = np.array([row for row in patches if live[row]], np.int64)
        self._changed = [patches[row] for row in patched.tolist()]
        live[patched] = False
        self._unchanged = np.flatnonzero(live)
        self.rows = np.concatenate([self._unchanged, patched])

    def columns(self) -> pa.Table:
        """The rows' _id, _photo, _digest and attributes under the schema."""
        table = self.segment.table.select(["_id", "_photo", "_digest"]).take(self.rows)
        changed = self.schema.to_table(self._changed)
        for name in self.schema.columns:
            kept = self.schema.column(self.segment.attributes, name).take(self._unchanged)
            table = table.append_column(name, pa.chunked_array([*kept.chunks, *changed.column(name).chunks]))
        return table

    def continues_in(self, layer: SegmentLayer | None) -> bool:
        """Whether ``layer`` is this segment, and since then only rows were deleted and attributes changed."""
        if layer is None:
            return False
        deleted = np.zeros(layer.rows, bool) if self.deleted is None else mask_of(self.deleted, layer.rows)
        revived = deleted if layer.deleted is None else deleted & ~mask_of(layer.deleted, layer.rows)
        return not revived.any() and all(layer.patches.get(row) is not None for row, _ in self._patches.items())

    def attributes(self, row: int) -> dict[str, object]:
        patch = self._patches.get(row)
        return dict(self.segment.attributes_of(row) if patch is None else patch)


class _Abandoned(Exception):
    """A merge was stopped."""


class _Stacked:
    """The vectors of several sources as one array that is read by slices and index arrays, until ``stop`` is set."""

    def __init__(self, sources: Sequence[MergeSource], stop: threading.Event) -> None:
        self._sources, self._stop = sources, stop
        self._starts = np.cumsum([0, *(len(source.rows) for source in sources)])
        first = sources[0].segment.vectors
        self.shape, self.dtype = (int(self._starts[-1]), int(first.shape[1])), first.dtype

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: "slice | np.ndarray") -> np.ndarray:
        if self._stop.is_set():
            raise _Abandoned
        indices = np.arange(*rows.indices(len(self))) if isinstance(rows, slice) else rows
        which = np.searchsorted(self._starts, indices, side="right") - 1
        taken = np.empty((len(indices), self.shape[1]), self.dtype)
        for number, source in enumerate(self._sources):
            mine = np.flatnonzero(which == number)
            if len(mine):
                taken[mine] = source.segment.vectors[source.rows[indices[mine] - self._starts[number]]]
        return taken


@dataclass(frozen=True)
class MergedSegment:
    """A merged segment on disk, not yet in a manifest; ``digest`` None if no row was left.

    ``positions[s][i]`` is the new position of row ``sources[s].rows[i]``.
    """

    digest: str | None
    rows: int
    positions: list[np.ndarray]


def build(
    store: Store, sources: Sequence[MergeSource], identity: Identity, stop: threading.Event
) -> MergedSegment | None:
    """Write the merged segment. None if ``stop`` is set before it is complete."""
    if not sources or stop.is_set():
        return None
    vectors = _Stacked(sources, stop)
    if not len(vectors):
        return MergedSegment(None, 0, [np.empty(0, np.int64) for _ in sources])
    written = [source.segment.written for source in sources]
    try:
        digest, order = write_segment(
            store.segments,
            pa.concat_tables(source.columns() for source in sources),
            vectors,
            chosen_kind(len(vectors), identity.kernel),
            written=(min(first for first, _ in written), max(last for _, last in written)),
        )
    except _Abandoned:
        return None
    position = np.empty(len(order), np.int64)
    position[order] = np.arange(len(order))
    ends = np.cumsum([len(source.rows) for source in sources])
    return MergedSegment(digest, len(order), np.split(position, ends[:-1]))


def swap(store: Store, state: State, sources: Sequence[MergeSource], built: MergedSegment) -> bool:
    """Replace the sources by the merged segment; False if one of them no longer exists.

    Requires the writer lock and a sealed state; also False if the index was restored to an earlier state. Rows
    deleted since the merge began are deleted in the new segment, and attributes that changed since are changed.
    """
    layers = {layer.segment.digest: layer for layer in state.segments}
    if not all(source.continues_in(layers.get(source.segment.digest)) for source in sources):
        return False
    deleted: list[int] = []
    patches = Patches()
    for source, positions in zip(sources, built.positions, strict=True):
        layer = layers[source.segment.digest]
        position_of = np.full(layer.rows, -1, np.int64)
        position_of[source.rows] = positions
        if layer.deleted is not None:
            now = position_of[mask_of(layer.deleted, layer.rows)]
            deleted += now[now >= 0].tolist()
        for row, attributes in layer.patches.items():
            if position_of[row] >= 0 and attributes != source.attributes(row):
                patches.recent[int(position_of[row])] = attributes
    gone = {source.segment.digest for source in sources}
    entries = [layer.entry for layer in state.segments if layer.segment.digest not in gone]
    if built.digest is not None and len(deleted) < built.rows:
        bits = store.write_bits(with_bits(None, deleted, built.rows)) if deleted else None
        digest = store.write_patches(patches.to_table(state.schema)) if len(patches) else None
        entries.append(SegmentEntry(built.digest, built.rows, len(deleted), bits, digest, len(patches)))
    commit(store, state.manifest.next(segments=tuple(entries)))
    return True


def lower_priority() -> None:
    """Yield to searches: on Linux, priority is per thread."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)
