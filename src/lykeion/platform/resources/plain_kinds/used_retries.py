"""The retries that indexes have used, written small: for each number of failures, the indexes that have so many."""

from collections.abc import Mapping
from typing import Annotated

from msgspec import Meta

from lykeion.control import Wire

from .index_ranges import IndexRanges, from_ranges, to_ranges


class UsedRetries(Wire, frozen=True):
    failures: Annotated[int, Meta(ge=1)]
    """Those that count: with as many as there are retries, one more attempt is left."""
    indexes: IndexRanges


Used = Annotated[tuple[UsedRetries, ...], Meta(max_length=1000)]


def to_used(counts: Mapping[int, int]) -> Used:
    """``{0: 2, 1: 1, 3: 1}`` as 1 failure of ``1,3`` and 2 of ``0``; indexes without failures are left out."""
    having: dict[int, list[int]] = {}
    for index, failures in counts.items():
        if failures > 0:
            having.setdefault(failures, []).append(index)
    return tuple(UsedRetries(failures=each, indexes=to_ranges(having[each])) for each in sorted(having))


def from_used(used: Used, below: int) -> dict[int, int]:
    """The failures of each index that ``to_used`` wrote; indexes from ``below`` on are omitted."""
    return {index: each.failures for each in used for index in from_ranges(each.indexes, below)}
