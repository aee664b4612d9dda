"""What an empty cell of a manifest does to an attribute that is stored, or that another row of the product gives."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Literal, TypeAlias

from lykeion.search.index import Attributes, Value

from .listing import Pairs
from .photo_source import ListedPhoto

Empty: TypeAlias = Literal["keep", "clear"]
"""``keep``: an attribute is cleared where no row of the product gives it. ``clear``: the last row wins, also with
nothing in it."""

_CHUNK = 4_096


class EmptyCells:
    """Joins the rows of a product, batch by batch, in one run.

    Rows may stand anywhere in a manifest, and not all of it is held: an empty cell that meets a stored value stays
    open, as a hash of 8 bytes, until the manifest is read again at the end. What the batch before gave is remembered,
    so that products whose rows follow one another need no second reading.
    """

    def __init__(self, empty: Empty) -> None:
        self._clear = empty == "clear"
        self._open = Pairs()
        self._given: dict[str, set[str]] = {}

    def joined(self, items: Sequence[ListedPhoto], stored: Mapping[str, Attributes]) -> dict[str, dict[str, Value]]:
        """The attributes of each product after these rows of it."""
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
        """Close the open cells that some row gives; ``items`` are all rows."""
        given = Pairs()
        for chunk in _chunks((item.id, name) for item, name, value in _cells(items) if value is not None):
            for (id, name), missing in zip(chunk, self._open.missing(*zip(*chunk, strict=True)), strict=True):
                if not missing:
                    given.add(id, name)
        self._open.remove(given)

    def cleared(self, items: Iterable[ListedPhoto]) -> Iterator[dict[str, dict[str, None]]]:
        """Some products at a time, with the attributes that no row gives; ``items`` are all rows."""
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
