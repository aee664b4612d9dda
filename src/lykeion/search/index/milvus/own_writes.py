"""Products that this process has written, and that a read without waiting may not see yet."""

import threading
from collections.abc import Iterable
from functools import cache

MAX_PRODUCTS = 100_000
"""Products to remember; beyond this number a read of any product waits, and they are forgotten."""


class OwnWrites:
    """Recorded so that a copy, which reads products it has not written, never waits for those it has.

    Writes are numbered. Milvus returns the time of an upsert, and a read can wait for that time; for a delete it does
    not, so the read must wait for the writes of all clients.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._writes = self._last_delete = 0
        self._last: dict[str, int] = {}

    def written(self, products: Iterable[str], *, delete: bool = False) -> None:
        """Milvus has accepted a write to these products."""
        with self._lock:
            self._writes += 1
            self._last.update(dict.fromkeys(products, self._writes))
            if delete:
                self._last_delete = self._writes

    def concern(self, products: Iterable[str]) -> bool:
        """Whether a read of these products must wait for what was written."""
        with self._lock:
            return len(self._last) > MAX_PRODUCTS or any(product in self._last for product in products)

    def delete_unseen(self) -> bool:
        """Whether a read must wait for the writes of all clients to see a delete."""
        with self._lock:
            return self._last_delete > 0

    def number(self) -> int:
        """The number of the last write, for ``seen``; read it before a read begins."""
        with self._lock:
            return self._writes

    def seen(self, number: int) -> None:
        """A read has waited for the writes up to that number."""
        with self._lock:
            self._last = {product: write for product, write in self._last.items() if write > number}
            if self._last_delete <= number:
                self._last_delete = 0


@cache
def own_writes(uri: str, collection: str) -> OwnWrites:
    """The writes to one collection, through any handle of this process."""
    return OwnWrites()
