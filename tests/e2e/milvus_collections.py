"""Collections on a Milvus server that are ready when a test wants one."""

import itertools
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from lykeion.search.index import Index, open_index

AHEAD = 6
"""Collections made before they are wanted: the server takes two seconds for one, and no longer for six."""


class Collections:
    """Makes them in the pool's threads."""

    def __init__(self, address: str, pool: ThreadPoolExecutor) -> None:
        self.address, self._pool = address, pool
        self._numbers = itertools.count()
        self._ready: deque[Future[str]] = deque()

    def client(self) -> Any:
        from pymilvus import MilvusClient

        return MilvusClient(f"http://{self.address}")

    def unused(self) -> str:
        """The address of a collection that is not there."""
        return f"milvus://{self.address}/c{next(self._numbers)}"

    def empty(self) -> str:
        """That of an empty index of dimension 4, cosine."""
        while len(self._ready) <= AHEAD:
            self._ready.append(self._pool.submit(self._make))
        return self._ready.popleft().result()

    def _make(self) -> str:
        uri = self.unused()
        open_index(uri, "w", dimension=4).close()
        return uri

    def drop(self, uri: str) -> None:
        client = self.client()
        client.drop_collection(uri.rpartition("/")[2])
        client.close()


class ServerPlace:
    """As ``Place`` of the behaviour suite: where an index can be made and opened again."""

    keeps_snapshots = False

    def __init__(self, server: Collections) -> None:
        self.uri = ""
        self._server = server

    def open(self, mode: Any = "w", *, dimension: int | None = 4, metric: Any = "cosine", **options: Any) -> Index:
        if not self.uri:
            plain = (mode, dimension, metric, options) == ("w", 4, "cosine", {})
            self.uri = self._server.empty() if plain else self._server.unused()
        return open_index(self.uri, mode, dimension=dimension, metric=metric, **options)
