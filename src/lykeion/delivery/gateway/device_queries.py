"""Searches of devices: in the workers, answered in parts, until they are cancelled."""

import asyncio
from functools import partial
from typing import Any

from lykeion.core import LykeionError
from lykeion.device.conversation import AnswerFrame, QueryFrame
from lykeion.search.service import Catalogue, Page, ServedCatalogue
from lykeion.web_kit import Workers

from .hub_parts import Asker

MAX_QUERIES = 4
"""Of one device at a time."""
PART = 5
"""Results in one answer."""
MAX_K = 200
MAX_VECTOR_BYTES = 1 << 16


class DeviceQueries:
    """Of ``served``; without one each query is answered by an error."""

    def __init__(self, served: ServedCatalogue | None, workers: Workers) -> None:
        self._served, self._workers = served, workers
        self._running: dict[Asker, dict[int, asyncio.Task[None]]] = {}

    def ask(self, asker: Asker, query: QueryFrame) -> None:
        running = self._running.setdefault(asker, {})
        if query.id in running or len(running) >= MAX_QUERIES:
            asker.answer(_error(query.id, f"at most {MAX_QUERIES} queries are answered at a time"))
            return
        task = asyncio.create_task(self._answer(asker, query))
        running[query.id] = task
        task.add_done_callback(lambda _: self._ended(asker, query.id))

    def cancel(self, asker: Asker, id: int | None = None) -> None:
        for each, task in list(self._running.get(asker, {}).items()):
            if id in (None, each):
                task.cancel()

    def _ended(self, asker: Asker, id: int) -> None:
        running = self._running.get(asker, {})
        running.pop(id, None)
        if not running:
            self._running.pop(asker, None)

    async def _answer(self, asker: Asker, query: QueryFrame) -> None:
        try:
            found = await self._found(query.body)
        except (LykeionError, KeyError, TypeError, ValueError, OverflowError) as error:
            asker.answer(_error(query.id, str(error) if isinstance(error, LykeionError) else "not a query"))
            return
        results = found["results"]
        parts = [results[start : start + PART] for start in range(0, len(results), PART)] or [[]]
        for number, part in enumerate(parts):
            last = number == len(parts) - 1
            if not asker.is_open or not asker.answer(
                AnswerFrame(query.id, number, last, {"results": part, "index": found["index"]})
            ):
                return
            await asyncio.sleep(0)  # so that a cancel is heard between two parts

    async def _found(self, body: Any) -> dict[str, Any]:
        if self._served is None:
            raise NoIndex("this gateway has no index; start it with --index")
        if not isinstance(body, dict):
            raise TypeError("a query is a map")
        where = body.get("where")
        page = Page(where=str(where) if where is not None else None, k=min(max(1, int(body.get("k", 20))), MAX_K))
        if "photo" in body:
            photo = body["photo"]
            if not isinstance(photo, bytes):  # bytes(N) would be N zeros
                raise TypeError("a photo is bytes")
            search = partial(Catalogue.search_photo, photo=photo, name="photo", box=None, page=page)
            return await self._workers.run(self._served.call, partial(search, vector=False))
        vector = _floats(body["vector"])
        search = partial(Catalogue.search_vector, vector=vector, page=page, embedder=str(body["space"]))
        return await self._workers.run(self._served.call, search)


class NoIndex(LykeionError):
    """The gateway has no index to search."""


def _floats(data: Any) -> list[float]:
    import numpy as np

    if not isinstance(data, bytes) or len(data) % 4 or len(data) > MAX_VECTOR_BYTES:
        raise ValueError("a vector is float32, little-endian")
    return np.frombuffer(data, "<f4").tolist()


def _error(id: int, message: str) -> AnswerFrame:
    return AnswerFrame(id, 0, True, {"error": message[:500]})
