"""What a search sees: the rows of an index at one moment, unaffected by later writes."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from lykeion.search.index.protocol import Hit, Metric
from lykeion.search.index.schema import Schema
from lykeion.search.index.segment.calibration import DEFAULT, effort_for, hardest
from lykeion.search.index.segment.kernel import Effort, Nearest, Scope, nearest

from .layers import Bits, Layer, SegmentLayer, TailLayer, bits_of, mask_of, popcount, resized

if TYPE_CHECKING:
    import pyarrow as pa

    from lykeion.core.expression import Expression

_CACHED_SCOPES = 16


class View:
    """Layers as they were when the view was made. Deleted rows stay deleted, later rows are not seen."""

    def __init__(
        self, layers: Sequence[Layer], schema: Schema, metric: Metric, *, repeats: bool, masks: "MaskCache"
    ) -> None:
        self.layers, self.schema, self.repeats = [layer.frozen() for layer in layers], schema, repeats
        self._squared = metric == "l2"
        self._masks = masks
        self.rows = [layer.rows for layer in layers]
        self.deleted = [
            None if layer.deleted is None else resized(layer.deleted, rows)
            for layer, rows in zip(layers, self.rows, strict=True)
        ]
        self._most = max(1, sum(self.rows))
        self._ids = [layer.id for layer in layers]
        self._searchable = [layer.searchable for layer in layers]
        self._effort = hardest(layer.segment.effort for layer in layers if isinstance(layer, SegmentLayer))
        self._filtered_effort = hardest([self._effort, DEFAULT])
        self._live = [None if deleted is None else ~deleted for deleted in self.deleted]
        self._all = Scope(self._searchable, self._live)
        self._scopes: OrderedDict[str, Scope] = OrderedDict()

    @property
    def photos(self) -> int:
        return sum(self.rows) - sum(popcount(deleted) for deleted in self.deleted)

    def search(
        self,
        query: np.ndarray,
        k: int,
        effort: Effort | None = None,
        *,
        where: str | None = None,
        attributes: bool = True,
        exclude: str | None = None,
    ) -> list[Hit]:
        """The k nearest products (Index.search, for one vector). ``exclude`` is an id that is not an answer."""
        k = min(k, self._most)  # memory is allocated for k answers, so k is limited
        scope, base = (self._all, self._effort) if where is None else (self._scope(where), self._filtered_effort)
        if not self.repeats and exclude is None:
            found = nearest(scope, query, k, effort or effort_for(k, base), squared=self._squared)
            return self._hits(found, attributes)
        wanted = 2 * k + 8
        while True:
            found = nearest(scope, query, wanted, effort or effort_for(wanted, base), squared=self._squared)
            best: dict[str, Hit] = {}  # of a product's photos, the one that comes first
            for hit in self._hits(found, attributes):
                best.setdefault(hit.id, hit)
            best.pop(exclude or "", None)
            if len(best) >= k or len(found.rows) < wanted:
                return list(best.values())[:k]
            wanted *= 4

    def _hits(self, found: Nearest, attributes: bool) -> list[Hit]:
        if not attributes:
            new = tuple.__new__  # Hit's own constructor takes twice as long
            ids = found.ids or [self._ids[n](row) for n, row in zip(found.segments, found.rows, strict=True)]
            return [new(Hit, (id, score, "", {})) for id, score in zip(ids, found.scores, strict=True)]
        return [
            Hit(layer.id(row), score, layer.photo(row).name, layer.attributes(row))
            for layer, row, score in zip(
                (self.layers[number] for number in found.segments), found.rows, found.scores, strict=True
            )
        ]

    def matching(self, where: str | None) -> list[Bits | None]:
        """For each layer the bitmap of live rows that match; None for all. Raises WhereError."""
        if where is None:
            return self._live
        from lykeion.search.index.filters import check, parse  # takes .1 s, which few have to wait for

        expression = parse(where)
        check(expression, self.schema)
        bits: list[Bits | None] = []
        for layer, rows, live in zip(self.layers, self.rows, self._live, strict=True):
            matching = self._masks.get(layer, rows, expression, self.schema)
            bits.append(matching if live is None else matching & live)
        return bits

    def count(self, where: str | None = None) -> int:
        """How many products have a live row that matches."""
        matching = self.matching(where)
        if not self.repeats:
            return sum(
                rows if bits is None else popcount(_trimmed(bits, rows))
                for bits, rows in zip(matching, self.rows, strict=True)
            )
        hashes = []
        for layer, bits, rows in zip(self.layers, matching, self.rows, strict=True):
            mask = np.ones(rows, bool) if bits is None else mask_of(bits, rows)
            hashes.append(layer.row_hashes(mask))
        return len(np.unique(np.concatenate(hashes))) if hashes else 0

    def random_rows(self, count: int, where: str | None = None) -> list[tuple[Layer, int]]:
        """``count`` live rows that match, or all there are; the same at every call. Raises WhereError."""
        matching = [
            range(rows) if bits is None else np.flatnonzero(mask_of(bits, rows))
            for bits, rows in zip(self.matching(where), self.rows, strict=True)
        ]
        ends = np.cumsum([len(rows) for rows in matching])
        total = sum(len(rows) for rows in matching)
        places = np.random.default_rng(0).choice(total, min(count, total), replace=False)
        numbers = np.searchsorted(ends, places, side="right")
        return [
            (self.layers[number], int(matching[number][place - ends[number]]))  # counted from the layer's last row
            for number, place in zip(numbers, places, strict=True)
        ]

    def _scope(self, where: str) -> Scope:
        scope = self._scopes.get(where)
        if scope is None:
            scope = Scope(self._searchable, self.matching(where), filtered=True)
            self._scopes[where] = scope
            while len(self._scopes) > _CACHED_SCOPES:
                self._scopes.popitem(last=False)
        return scope


def _trimmed(bits: Bits, rows: int) -> Bits:
    """Bits beyond the last row cleared (an inverted bitmap has them set)."""
    if rows % 64 == 0:
        return bits
    bits = bits.copy()
    bits[-1] &= np.uint64((1 << rows % 64) - 1)
    return bits


def _evaluate(where: "Expression", table: "pa.Table", schema: Schema) -> np.ndarray:
    from lykeion.search.index.filters import evaluate

    return evaluate(where, table, schema)


class MaskCache:
    """Which rows match a filter, cached for what does not change: a segment with its overlay on disk."""

    def __init__(self, limit_bytes: int = 256 << 20) -> None:
        self._masks: OrderedDict[tuple[str, str | None, Expression], np.ndarray] = OrderedDict()
        self._tail: dict[Expression, tuple[list[str], int, np.ndarray]] = {}
        self._bytes, self._limit = 0, limit_bytes
        self._lock = threading.Lock()

    def get(self, layer: Layer, rows: int, where: "Expression", schema: Schema) -> Bits:
        if isinstance(layer, TailLayer):
            return bits_of(self._tail_mask(layer, rows, where, schema))
        key = (layer.segment.digest, layer.entry.patches, where)
        mask = self._masks.get(key)
        if mask is None:
            mask = _evaluate(where, layer.segment.attributes, schema)
            if layer.patches.table is not None:
                mask[layer.patches.table.column("_row").to_numpy()] = _evaluate(where, layer.patches.table, schema)
            self._remember(key, mask)
        if recent := layer.patches.recent:
            mask = mask.copy()
            mask[list(recent)] = _evaluate(where, schema.to_table(list(recent.values())), schema)
        return bits_of(mask)

    def _tail_mask(self, tail: TailLayer, rows: int, where: "Expression", schema: Schema) -> np.ndarray:
        """Until a row is patched, rows of the tail are only added, and earlier evaluations are kept."""
        ids, patched, mask = self._tail.get(where, (None, 0, np.zeros(0, bool)))
        now = tail.patched
        if ids is not tail.ids or patched != now:
            mask = np.zeros(0, bool)
        if len(mask) < rows:
            table = schema.to_table(tail.attribute_rows(len(mask), rows))
            mask = np.concatenate([mask, _evaluate(where, table, schema)])
            if len(self._tail) >= _CACHED_SCOPES:
                self._tail.clear()
            self._tail[where] = (tail.ids, now, mask)
        return mask[:rows]

    def _remember(self, key: tuple[str, str | None, "Expression"], mask: np.ndarray) -> None:
        with self._lock:
            before = self._masks.get(key)  # by another thread that evaluated the same in the meantime
            self._masks[key] = mask
            self._bytes += mask.nbytes - (0 if before is None else before.nbytes)
            while self._bytes > self._limit and len(self._masks) > 1:
                _, dropped = self._masks.popitem(last=False)
                self._bytes -= dropped.nbytes
