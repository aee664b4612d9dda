"""The effect of a manifest's empty cell on an attribute that is stored or given by another row of the product."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Literal, TypeAlias

from lykeion.search.index import Attributes, Value

from .listing import Pairs
from .photo_source import ListedPhoto

Empty: TypeAlias = Literal["keep", "clear"]
"""``keep``: an attribute is cleared only if no row of the product gives it. ``clear``: the last row wins, even if its
cell is empty."""

_CHUNK = 4_096


class EmptyCells:
    """Joins the rows of a product, batch by batch, in one run.

    A product's rows may be anywhere in a manifest, which is not kept in memory: an empty cell for a stored value
    stays open, as a hash of 8 bytes, until the manifest is read again at the end. Values from the previous batch are
    remembered, so that products with consecutive rows need no second pass.
    """

    def __init__(self, empty: Empty) -> None:
        self._clear = empty == "clear"
        self._open = Pairs()
        self._given: dict[str, set[str]] = {}

    def joined(self, items: Sequence[ListedPhoto], stored: Mapping[str, Attributes]) -> dict[str, dict[str, Value]]:
        """The attributes of each product after these rows."""
        joined = {item.id: dict(stored.get(item.id, {})) for item in items}
        self._given = {item.id: self._given.get(item.id, set()) for item in items}
        for item, name, value in _cells(items):
            if value is not None or self._clear:
                joined[item.id][name] = value
                self._given[item.id].add(name)
        for item, name, value in _cells(items):
            met = stored.get(item.id, {}).get(name)
            if value is None and met is not None and name not in self._given[item.id]:
                self._open.add(item.id, name)
        return joined

    def any_open(self) -> bool:
        return bool(self._open)

    def given_elsewhere(self, items: Iterable[ListedPhoto]) -> None:
        """Close the open cells for which another row gives a value; ``items`` are all rows."""
        given = Pairs()
        for chunk in _chunks((item.id, name) for item, name, value in _cells(items) if value is not None):
            for (id, name), missing in zip(chunk, self._open.missing(*zip(*chunk, strict=True)), strict=True):
                if not missing:
                    given.add(id, name)
        self._open.remove(given)

    def cleared(self, items: Iterable[ListedPhoto]) -> Iterator[dict[str, dict[str, None]]]:
        """Groups of products, with the attributes that no row gives; ``items`` are all rows."""
        for chunk in _chunks((item.id, name) for item, name, value in _cells(items) if value is None):
            found: dict[str, dict[str, None]] = {}
            for (id, name), missing in zip(chunk, self._open.missing(*zip(*chunk, strict=True)), strict=True):
                if not missing:
                    found.setdefault(id, {})[name] = None
            if found:
                yield found


def _cells(items: Iterable[ListedPhoto]) -> Iterator[tuple[ListedPhoto, str, Value]]:
    for item in items:
        for name, value in (item.attributes or {}).items():
            yield item, name, value


def _chunks(cells: Iterator[tuple[str, str]]) -> Iterator[list[tuple[str, str]]]:
    while chunk := list(islice(cells, _CHUNK)):
        yield chunk
