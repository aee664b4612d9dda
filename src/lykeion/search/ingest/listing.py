"""The products of a run: its shard of a catalogue, and the photos that the source lists."""

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from hashlib import blake2b

import numpy as np

from .photo_source import SourceError


@dataclass(frozen=True, slots=True)
class Shard:
    """The ``number``-th of ``count`` parts of a catalogue, from 1; a product is always in the same shard."""

    number: int
    count: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.count:
            raise SourceError(
                f"there is no shard {self.number}/{self.count}; of 16, the first is 1/16 and the last 16/16"
            )

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """``3/16``. Raises SourceError."""
        number, _, count = text.partition("/")
        if not (number.isdecimal() and count.isdecimal()):
            raise SourceError(f"{text!r} is no shard; write 3/16 for the third of 16")
        return cls(int(number), int(count))

    @classmethod
    def chosen(cls, text: str | None, index: int | None, count: int | None) -> "Shard | None":
        """The shard named by ``text``, such as ``3/16``, or by an index from 0 and a count; None if none is given.

        Raises SourceError if both are given, or only one of index and count.
        """
        if text and (index is not None or count is not None):
            raise SourceError(f"give the shard {text} or its index and count, not both")
        if (index is None) != (count is None):
            raise SourceError("an index of a shard needs a count of shards, and the other way round")
        if index is not None and count is not None:
            if not 0 <= index < count:
                raise SourceError(f"there is no shard with the index {index} of {count}; the first is 0")
            return cls(index + 1, count)
        return cls.parse(text) if text else None

    def holds(self, id: str) -> bool:
        return _hash(id, "") % self.count == self.number - 1


class NamePatterns:
    """Shell patterns for names of photos, such as ``*.png``: case-insensitive, and ``*`` also matches ``/``."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self._patterns = tuple(patterns)
        self.unmatched = list(dict.fromkeys(self._patterns))
        """The patterns that have not matched any name yet."""

    def match(self, name: str) -> bool:
        matched = [pattern for pattern in self._patterns if fnmatchcase(name.lower(), pattern.lower())]
        if matched and self.unmatched:
            self.unmatched = [pattern for pattern in self.unmatched if pattern not in matched]
        return bool(matched)


class Pairs:
    """Pairs of strings as 64-bit hashes: 8 bytes per pair, and 16 while they are sorted.

    A hash collision (for 10 million against 10 million: one chance in 180,000) only makes a pair count as added that
    was not: a photo that is no longer listed stays; a listed photo never counts as missing.
    """

    def __init__(self) -> None:
        self._hashes = array("Q")
        self._sorted = np.empty(0, np.uint64)

    def add(self, first: str, second: str) -> None:
        self._hashes.append(_hash(first, second))

    def remove(self, others: "Pairs") -> None:
        self._sorted = np.setdiff1d(self._in_order(), others._in_order())
        self._hashes = array("Q", self._sorted.tobytes())

    def __len__(self) -> int:
        """The number of distinct pairs."""
        return len(np.unique(self._in_order()))

    def missing(self, firsts: Sequence[str], seconds: Sequence[str]) -> np.ndarray:
        """For each pair, whether it was not added: bool of shape (n,)."""
        known = self._in_order()
        asked = np.fromiter(map(_hash, firsts, seconds), np.uint64, len(firsts))
        if not len(known):
            return np.ones(len(asked), bool)
        at = np.minimum(np.searchsorted(known, asked), len(known) - 1)
        return known[at] != asked

    def _in_order(self) -> np.ndarray:
        if len(self._sorted) != len(self._hashes):
            self._sorted = np.sort(np.frombuffer(self._hashes, np.uint64))
        return self._sorted


def _hash(id: str, photo: str) -> int:
    text = f"{id}\0{photo}".encode(errors="surrogateescape")
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "little")
