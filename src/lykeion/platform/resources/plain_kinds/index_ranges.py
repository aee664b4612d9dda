"""Sets of indexes written as ranges, such as ``0-4,7``, in which the status of thousands of shards is kept."""

import re
from collections.abc import Iterable
from typing import Annotated

from msgspec import Meta

LIMIT_CHARACTERS = 1 << 15
"""Enough for any set of indexes below 10,000."""
IndexRanges = Annotated[
    str,
    Meta(
        max_length=LIMIT_CHARACTERS,
        pattern=r"^([0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*)?\Z",
        extra={"must be": "indexes and ranges of them, such as 0-4,7"},
    ),
]
_RANGE = re.compile(r"(\d+)(?:-(\d+))?")


def to_ranges(indexes: Iterable[int]) -> str:
    """``[0, 1, 2, 5]`` as ``0-2,5``."""
    parts: list[list[int]] = []
    for index in sorted(set(indexes)):
        if parts and parts[-1][1] == index - 1:
            parts[-1][1] = index
        else:
            parts.append([index, index])
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in parts)


def from_ranges(text: str, below: int) -> frozenset[int]:
    """The indexes that ``to_ranges`` wrote; those from ``below`` on are omitted, so that no range is too long."""
    found = (_RANGE.fullmatch(part) for part in text.split(",") if part)
    bounds = ((int(match[1]), int(match[2] or match[1])) for match in found if match)
    return frozenset(index for low, high in bounds for index in range(low, min(high + 1, below)))
