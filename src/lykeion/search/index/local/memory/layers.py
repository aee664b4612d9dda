"""The layers of rows of an open index, each with its deleted rows and changed attributes.

A layer is a segment with its overlays, or the tail: the rows that are in the log and not yet in a segment. Changes
replace the data that a frozen copy shares with its layer, so that a search that began before does not see them.
"""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from lykeion.search.index.local.disk.store import SegmentEntry
from lykeion.search.index.protocol import Photo, Value
from lykeion.search.index.schema import Schema
from lykeion.search.index.segment.kernel import Searchable
from lykeion.search.index.segment.segment import Segment, hash_ids
from lykeion.search.index.segment.table_rows import TableRows

Bits = np.ndarray
"""One bit per row, uint64; row 64 * i + j is bit j of word i."""


def bits_of(mask: np.ndarray) -> Bits:
    """A bool array as bits."""
    packed = np.packbits(mask, bitorder="little")
    padded = np.zeros((len(mask) + 63) // 64 * 8, np.uint8)
    padded[: len(packed)] = packed
    return padded.view("<u8")


def mask_of(bits: Bits, rows: int) -> np.ndarray:
    """Bits as a bool array."""
    return np.unpackbits(bits.view(np.uint8), count=rows, bitorder="little").view(bool)


def with_bits(bits: Bits | None, rows: Sequence[int] | np.ndarray, count: int) -> Bits:
    """A copy of ``bits`` (None: no bit) for ``count`` rows in which these rows are set."""
    changed = np.zeros((count + 63) // 64, np.uint64) if bits is None else bits.copy()
    indices = np.asarray(rows, np.int64)
    np.bitwise_or.at(changed, indices >> 6, np.uint64(1) << (indices & 63).astype(np.uint64))
    return changed


def bit(bits: Bits | None, row: int) -> bool:
    """Whether a row's bit is set; it is not for rows beyond the bitmap."""
    return bits is not None and row >> 6 < len(bits) and bool(int(bits[row >> 6]) >> (row & 63) & 1)


def resized(bits: Bits, rows: int) -> Bits:
    """The same bits for more rows."""
    return np.concatenate([bits, np.zeros((rows + 63) // 64 - len(bits), np.uint64)])


def popcount(bits: Bits | None) -> int:
    return 0 if bits is None else int(np.bitwise_count(bits).sum())


@dataclass
class Patches:
    """Attributes that replace a segment's own, by row: those on disk and newer ones."""

    table: pa.Table | None = None
    """Column _row (uint32, ascending) and attribute columns."""
    recent: dict[int, dict[str, Value]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.table is not None:
            self._rows = self.table.column("_row").to_numpy()
            self._attributes = TableRows(self.table.drop_columns(["_row"]))

    def get(self, row: int) -> dict[str, Value] | None:
        if row in self.recent:
            return self.recent[row]
        if self.table is not None:
            at = int(np.searchsorted(self._rows, row))
            if at < len(self._rows) and self._rows[at] == row:
                return self._attributes[at]
        return None

    def __len__(self) -> int:
        return len(self.recent) + (0 if self.table is None else len(self.table))

    def items(self) -> Iterator[tuple[int, dict[str, Value]]]:
        """All patches, by row."""
        rows = set(self.recent) | (set(self._rows.tolist()) if self.table is not None else set())
        for row in sorted(rows):
            yield row, self.get(row) or {}

    def to_table(self, schema: Schema) -> pa.Table:
        pairs = list(self.items())
        table = schema.to_table([attributes for _, attributes in pairs])
        return table.append_column("_row", pa.array([row for row, _ in pairs], pa.uint32()))


class SegmentLayer:
    """A segment with the deletions and changes since it was written."""

    def __init__(self, segment: Segment, entry: SegmentEntry, deleted: Bits | None, patches: pa.Table | None) -> None:
        self.segment, self.entry, self.deleted, self.patches = segment, entry, deleted, Patches(patches)
        self.rows = segment.rows
        self.id, self.photo = segment.id, segment.photo
        self.searchable = segment.searchable
        self.bits_changed = False
        self._shared = False

    def frozen(self) -> "SegmentLayer":
        """The layer as it is now, unaffected by later writes."""
        self._shared = True
        return copy.copy(self)

    def attributes(self, row: int) -> dict[str, Value]:
        patch = self.patches.get(row) if len(self.patches) else None
        return self.segment.attributes_of(row) if patch is None else dict(patch)

    def vector(self, row: int) -> np.ndarray:
        return self.segment.vectors[row]

    def find(self, ids: Sequence[str], hashes: np.ndarray) -> Iterator[tuple[int, int]]:
        """(position in ids, row) of each live row of these products."""
        for position, rows in self.segment.find(hashes):
            for row in rows.tolist():
                if not bit(self.deleted, row) and self.id(row) == ids[position]:
                    yield position, row

    def row_hashes(self, mask: np.ndarray) -> np.ndarray:
        """The id hashes of the rows in a bool mask, in no particular order."""
        return self.segment.hashes[mask[self.segment.hash_rows]]

    def delete(self, rows: Sequence[int]) -> None:
        self.deleted = with_bits(self.deleted, rows, self.rows)
        self.bits_changed = True

    def set_attributes(self, row: int, attributes: dict[str, Value]) -> None:
        if self._shared:
            self.patches, self._shared = Patches(self.patches.table, dict(self.patches.recent)), False
        self.patches.recent[row] = attributes


class TailLayer:
    """Rows in memory, compared exactly. ``at`` is when each was written, seconds since 1970."""

    _FIRST = 256

    def __init__(self, dimension: int, dtype: np.dtype) -> None:
        self.vectors = np.empty((self._FIRST, dimension), dtype)
        self.rows = 0
        self.deleted: Bits | None = None
        self.ids: list[str] = []
        self.photos: list[Photo] = []
        self.written: list[float] = []
        self.patched = 0
        """How often attributes were changed in place, after which earlier evaluations may not hold."""
        self._attributes: list[dict[str, Value]] = []
        self._by_id: dict[str, list[int]] = {}
        self._shared = False

    def frozen(self) -> "TailLayer":
        """The current rows, unaffected by later writes; to be read by row."""
        self._shared = True
        return copy.copy(self)

    @property
    def searchable(self) -> Searchable:
        return Searchable(self.vectors, self.rows)

    def id(self, row: int) -> str:
        return self.ids[row]

    def photo(self, row: int) -> Photo:
        return self.photos[row]

    def attributes(self, row: int) -> dict[str, Value]:
        return dict(self._attributes[row])

    def vector(self, row: int) -> np.ndarray:
        return self.vectors[row]

    def extend(
        self,
        ids: Sequence[str],
        photos: Sequence[Photo],
        vectors: np.ndarray,
        attributes: Sequence[dict[str, Value]],
        at: float,
    ) -> None:
        """Add rows. ``vectors`` may be kept without a copy."""
        first, rows = self.rows, self.rows + len(ids)
        if not first and rows > len(self.vectors):
            self.vectors = vectors
        elif rows > len(self.vectors):
            grown = np.empty((max(rows, 2 * len(self.vectors)), self.vectors.shape[1]), self.vectors.dtype)
            grown[:first] = self.vectors[:first]
            grown[first:rows] = vectors
            self.vectors = grown  # a search that began keeps the old array
        else:
            self.vectors[first:rows] = vectors
        self.ids.extend(ids)
        self.photos.extend(photos)
        self.written.extend([at] * len(ids))
        self._attributes.extend(attributes)
        for row, id in enumerate(ids, first):
            self._by_id.setdefault(id, []).append(row)
        self.rows = rows

    def find(self, ids: Sequence[str], hashes: np.ndarray) -> Iterator[tuple[int, int]]:
        del hashes
        for position, id in enumerate(ids):
            for row in self._by_id.get(id, ()):
                yield position, row

    def row_hashes(self, mask: np.ndarray) -> np.ndarray:
        return hash_ids(self.ids[row] for row in np.flatnonzero(mask))

    def delete(self, rows: Sequence[int]) -> None:
        known = None if self.deleted is None else resized(self.deleted, self.rows)
        self.deleted = with_bits(known, rows, self.rows)
        for row in rows:
            self._by_id[self.ids[row]].remove(row)
            if not self._by_id[self.ids[row]]:
                del self._by_id[self.ids[row]]

    def set_attributes(self, row: int, attributes: dict[str, Value]) -> None:
        if self._shared:
            self._attributes, self._shared = list(self._attributes), False
        self._attributes[row] = attributes
        self.patched += 1

    def attribute_rows(self, start: int, stop: int) -> list[dict[str, Value]]:
        return self._attributes[start:stop]

    def live(self) -> list[int]:
        return [row for row in range(self.rows) if not bit(self.deleted, row)]


Layer = SegmentLayer | TailLayer


class Located:
    """The locations of the live rows of some products: for each id, a list of (layer, row)."""

    def __init__(self, layers: Sequence[Layer], ids: Sequence[str]) -> None:
        self.places: list[list[tuple[Layer, int]]] = [[] for _ in ids]
        hashes = hash_ids(ids)
        for layer in layers:
            for position, row in layer.find(ids, hashes):
                self.places[position].append((layer, row))
