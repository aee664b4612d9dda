"""An open index in memory: its layers, and how a write changes them. No locks and no writing of files here.

Writes are applied in the order of the log, and the same code applies a write of this process, one that another
process logged, and one that is read again after a restart.
"""

from collections.abc import Sequence

import numpy as np

from lykeion.search.index.batch import named_photos
from lykeion.search.index.local.disk.log import Operation
from lykeion.search.index.local.disk.store import Identity, Manifest, Store
from lykeion.search.index.protocol import Value
from lykeion.search.index.schema import Schema
from lykeion.search.index.segment.segment import Segment

from .layers import Layer, Located, SegmentLayer, TailLayer
from .view import MaskCache, View


class State:
    """The contents of one manifest and its log. ``reuse`` provides segments that are already open.

    Raises FileNotFoundError if the manifest was replaced and its files removed in the meantime: read the new one.
    """

    def __init__(self, store: Store, identity: Identity, masks: MaskCache, reuse: "State | None" = None) -> None:
        self.stamp = store.stamp()
        self.manifest: Manifest = store.current()
        self._identity, self._masks = identity, masks
        open_segments = {layer.segment.digest: layer.segment for layer in reuse.segments} if reuse else {}
        self.segments: list[SegmentLayer] = []
        for entry in self.manifest.segments:
            segment = open_segments.get(entry.digest) or Segment(store.segments / entry.digest)
            bits = store.read_bits(entry.bits, entry.rows) if entry.bits else None
            patches = store.read_patches(entry.patches) if entry.patches else None
            self.segments.append(SegmentLayer(segment, entry, bits, patches))
        self.tail = TailLayer(identity.dimension, np.dtype(identity.dtype))
        self.schema = Schema.from_json(self.manifest.columns)  # pyright: ignore[reportArgumentType]
        self.repeats = self.manifest.repeats
        self.log = store.log(self.manifest, identity)
        self.pending_patches = 0
        self.follow()

    @property
    def layers(self) -> list[Layer]:
        return [*self.segments, self.tail]

    def follow(self) -> bool:
        """Apply what was logged since the last time; returns whether there was anything. Raises CorruptIndex."""
        changed = False
        for operation in self.log.read_new():
            self.apply(operation)
            changed = True
        return changed

    def view(self) -> View:
        layers = [layer for layer in self.layers if layer.rows]
        return View(layers, self.schema, self._identity.metric, repeats=self.repeats, masks=self._masks)

    def apply(self, operation: Operation) -> int:
        """Change the layers. Returns how many of the named products (or photos) existed."""
        if operation.columns is not None:
            self.schema = Schema.from_json(operation.columns)  # pyright: ignore[reportArgumentType]
        match operation.kind:
            case "upsert":
                return self._upsert(operation)
            case "update":
                return self._update(operation)
            case "delete":
                return self._delete(operation)

    def _upsert(self, operation: Operation) -> int:
        ids, vectors = operation.ids, operation.vectors
        assert vectors is not None
        photos = named_photos(ids, operation.photos)
        names = {(id, photo.name) for id, photo in zip(ids, photos, strict=True)}
        distinct = list(dict.fromkeys(ids))
        before = dict(zip(distinct, Located(self.layers, distinct).places, strict=True))
        attributes = _last_of_each(ids, operation.attributes)
        replaced: list[tuple[Layer, int]] = []
        for id, places in before.items():
            if id not in attributes:
                attributes[id] = places[0][0].attributes(places[0][1]) if places else {}
            stay = []
            for layer, row in places:
                whole = operation.photos is None or (id, layer.photo(row).name) in names
                (replaced if whole else stay).append((layer, row))
            if operation.attributes is not None:
                for layer, row in stay:
                    self._set(layer, row, attributes[id])
            self.repeats |= bool(stay)
        self._remove(replaced)
        self.repeats |= len(distinct) < len(ids)
        self.tail.extend(ids, photos, vectors, [attributes[id] for id in ids], operation.at)
        return sum(bool(places) for places in before.values())

    def _update(self, operation: Operation) -> int:
        assert operation.attributes is not None
        located = Located(self.layers, operation.ids).places
        for places, changes in zip(located, operation.attributes, strict=True):
            for layer, row in places:
                merged = {**layer.attributes(row), **changes}
                self._set(layer, row, {name: value for name, value in merged.items() if value is not None})
        return _distinct(operation.ids, located)

    def _delete(self, operation: Operation) -> int:
        located = Located(self.layers, operation.ids).places
        if operation.photos is None:
            doomed = {(id(layer), row): (layer, row) for places in located for layer, row in places}
            self._remove(list(doomed.values()))
            return _distinct(operation.ids, located)
        matching = {
            (id(layer), row): (layer, row)
            for photo, places in zip(operation.photos, located, strict=True)
            for layer, row in places
            if layer.photo(row).name == photo.name
        }
        self._remove(list(matching.values()))
        return len(matching)

    def _set(self, layer: Layer, row: int, attributes: dict[str, Value]) -> None:
        layer.set_attributes(row, attributes)
        self.pending_patches += isinstance(layer, SegmentLayer)

    def _remove(self, places: Sequence[tuple[Layer, int]]) -> None:
        by_layer: dict[int, tuple[Layer, list[int]]] = {}
        for layer, row in places:
            by_layer.setdefault(id(layer), (layer, []))[1].append(row)
        for layer, rows in by_layer.values():
            layer.delete(rows)


def _distinct(ids: Sequence[str], places: Sequence[list[tuple[Layer, int]]]) -> int:
    """The number of distinct products found."""
    return len({id for id, found in zip(ids, places, strict=True) if found})


def _last_of_each(ids: Sequence[str], attributes: Sequence[dict[str, Value]] | None) -> dict[str, dict[str, Value]]:
    return {} if attributes is None else dict(zip(ids, attributes, strict=True))
