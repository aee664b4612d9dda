"""Writing finished photos and their attributes to the index; an invalid product fails alone."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import compress, groupby, islice
from typing import Any

import numpy as np

from lykeion.core import LykeionError
from lykeion.search.index import BatchError, Index, Photo, SchemaError
from lykeion.search.thumbnails import Thumbnails
from lykeion.vision import PhotoError

from .empty_cells import Empty, EmptyCells
from .listing import Pairs
from .photo_source import Failure, ListedPhoto
from .photo_workers import Taken
from .report import EntryLog

_CHUNK = 4_096


class BatchWriter:
    """Writes the batches of one run, and counts each photo once, as added, unchanged or failed."""

    def __init__(
        self, index: Index, thumbnails: Thumbnails | None, failures: EntryLog[Failure], empty: Empty
    ) -> None:
        self.added = self.unchanged = 0  # photos
        self._index, self._thumbnails, self._failures = index, thumbnails, failures
        self._cells = EmptyCells(empty)
        self._failed: set[tuple[str, str]] = set()  # photos of the batch that is being written
        self._photographed, self._changed = Pairs(), Pairs()  # products
        self._ahead = Pairs()  # products with attributes in a batch before that of their first photo

    @property
    def updated(self) -> int:
        """Products of which only the attributes were written."""
        self._changed.remove(self._photographed)
        return len(self._changed)

    def write(self, taken: Sequence[tuple[ListedPhoto, Taken | Exception]]) -> None:
        """Write new photos, and the attributes of all items; those that failed may still have a new price."""
        self._failed.clear()
        for item, outcome in taken:
            if isinstance(outcome, Exception):
                self._fail(item, outcome)
        items = [item for item, _ in taken]
        new = [
            (item, outcome) for item, outcome in taken if isinstance(outcome, Taken) and outcome.vector is not None
        ]
        self._write(items, new)
        self.unchanged += sum(
            isinstance(outcome, Taken) and outcome.vector is None and (item.id, item.photo) not in self._failed
            for item, outcome in taken
        )

    def write_ahead(self, listed: Callable[[], Iterable[ListedPhoto]]) -> None:
        """Write the attributes of rows that came, in an earlier batch, before any photo of their product was stored:
        the photo of such a row failed. Needs a second pass over the listing if there are any."""
        items = iter(listed() if len(self._ahead) else ())
        while chunk := list(islice(items, _CHUNK)):
            products = [item.id for item in chunk], [""] * len(chunk)
            others = self._ahead.missing(*products) | self._photographed.missing(*products)
            self._write(list(compress(chunk, ~others)), [])

    def clear_empty(self, listed: Callable[[], Iterable[ListedPhoto]]) -> None:
        """Clear the attributes that no row of a product gives, if that needs a second pass over the listing."""
        if self._cells.any_open():
            self._cells.given_elsewhere(listed())
            for cleared in self._cells.cleared(listed()):
                self._index.update(list(cleared), list(cleared.values()))
                for id in cleared:
                    self._changed.add(id, "")

    def _write(self, items: list[ListedPhoto], new: list[tuple[ListedPhoto, Taken]]) -> None:
        added = {item.id for item, _ in new}
        concerned = list(dict.fromkeys(item.id for item in items if item.attributes or item.id in added))
        if not concerned:
            return
        stored = {product.id: product.attributes for product in self._index.get(concerned) if product}
        for item in items:
            if item.attributes and item.id not in stored and item.id not in added:
                self._ahead.add(item.id, "")
        attributes = self._cells.joined(items, stored)
        self._upsert(sorted(new, key=lambda row: row[0].id), attributes)
        changed = {
            id: {name: value for name, value in attributes[id].items() if value != before.get(name)}
            for id, before in stored.items()
            if id not in added
        }
        self._update([item for item in items if changed.get(item.id)], changed)

    def _upsert(self, new: list[tuple[ListedPhoto, Taken]], attributes: Mapping[str, Mapping[str, Any]]) -> None:
        if not new:
            return
        if self._thumbnails:  # before the photo, which would otherwise count as done without one
            self._thumbnails.put_many(
                (item.id, item.photo, taken.thumbnail) for item, taken in new if taken.thumbnail is not None
            )
        try:
            self._index.upsert(
                [item.id for item, _ in new],
                np.stack([taken.vector for _, taken in new if taken.vector is not None]),
                [attributes[item.id] for item, _ in new],
                photos=[Photo(item.photo, taken.digest) for item, taken in new],
            )
            self.added += len(new)
            for item, _ in new:
                self._photographed.add(item.id, "")
        except (SchemaError, BatchError) as error:
            products = [list(rows) for _, rows in groupby(new, key=lambda row: row[0].id)]
            if len(products) == 1:
                for item, _ in new:
                    self._fail(item, error)
            else:  # one of them is invalid
                for rows in products:
                    self._upsert(rows, attributes)

    def _update(self, items: list[ListedPhoto], changed: Mapping[str, Mapping[str, Any]]) -> None:
        products = {item.id: item for item in items}
        if not products:
            return
        try:
            self._index.update(list(products), [changed[id] for id in products])
            for id in products:
                self._changed.add(id, "")
        except (SchemaError, BatchError) as error:
            if len(products) == 1:
                self._fail(items[0], error)
            else:
                for item in products.values():
                    self._update([item], changed)

    def _fail(self, item: ListedPhoto, error: Exception) -> None:
        """Report a photo as failed, once, with the first cause."""
        if (item.id, item.photo) in self._failed:
            return
        self._failed.add((item.id, item.photo))
        if isinstance(error, PhotoError):
            cause = error.cause
        elif isinstance(error, OSError):
            cause = error.strerror or str(error)
        else:
            cause = str(error) if isinstance(error, LykeionError) else f"{type(error).__name__}: {error}"
        self._failures.add(Failure(item.id, item.photo, item.photo or item.id, " ".join(cause.split())[:500]))
