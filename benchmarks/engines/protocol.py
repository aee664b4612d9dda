"""What an engine does for a benchmark."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
from measuring.vector_sets import Filter, VectorSet

Setting: TypeAlias = dict[str, Any]
"""The parameters of a search that trade recall for speed."""

Search: TypeAlias = Callable[[Any, Any], Any]
"""From a prepared query and a prepared filter (or None) to the library's own answer. This alone is timed."""


class Engine(Protocol):
    """``about`` says how it was built, for the table. ``settings`` are tried in turn, from the least effort to the
    most, until nearly all is found; ``filtered``, empty where the library has no filters, are all tried."""

    about: str
    settings: Sequence[Setting]
    filtered: Sequence[Setting]
    query_limit: int
    """How many queries a pass asks: fewer of a slow engine."""

    def build(self, data: VectorSet, directory: Path) -> None:
        """Build on all cores and leave everything in the directory, ready to be opened."""
        ...

    def open(self, data: VectorSet, directory: Path) -> None: ...

    def prepare(self, query: np.ndarray) -> Any:
        """A query, float32 (dimension,), in the form that the library takes; not timed."""
        ...

    def prepare_filter(self, filter: Filter) -> Any: ...

    def search(self, setting: Setting, k: int) -> Search: ...

    def ids(self, answer: Any) -> list[int]:
        """Row numbers, nearest first, of an answer; not timed."""
        ...


class Unfiltered:
    """For libraries without filters."""

    filtered: Sequence[Setting] = ()
    query_limit = 10_000

    def prepare_filter(self, filter: Filter) -> Any:
        raise NotImplementedError(filter)
