"""What programs of a resource have printed and measured, as subresources of the API."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from lykeion.control import AnyResource, Key, NoSuchResource, ResourceError, ResourceStore
from lykeion.platform.policies.lifecycle import has_finished
from lykeion.resource_api import Subresource

from .metrics_file import follow_rows
from .processes.output_log import last_lines, read_log

LIMIT_TAIL_LINES = 1 << 20
LOG_PAUSE_S = 0.2

LogOf = Callable[[AnyResource, int, str], Path | None]
MetricsOf = Callable[[AnyResource], Path | None]


def output_subresources(store: ResourceStore, log_of: LogOf, metrics_of: MetricsOf) -> Mapping[str, Subresource]:
    """``log_of`` finds the log of a resource's index, ``metrics_of`` the file of its metrics, if it has one."""
    output = _Output(store, log_of, metrics_of)
    return {"log": output.log, "metrics": output.metrics}


class _Output:
    def __init__(self, store: ResourceStore, log_of: LogOf, metrics_of: MetricsOf) -> None:
        self._store, self._log_of, self._metrics_of = store, log_of, metrics_of

    async def log(self, request: Request, key: Key) -> Response:
        index = request.query_params.get("index", "0")
        tail = request.query_params.get("tailLines")
        for name, value in (("index", index), ("tailLines", tail)):
            if value is not None and not value.isdecimal():
                raise ResourceError(f"{name} is {value[:40]!r}; it must be a whole number")
        part = request.query_params.get("part", "")
        resource = await self._store.get(key)
        path = self._log_of(resource, int(index), part)
        if path is None:
            where = f" in {part[:60]}" if part else ""
            raise NoSuchResource(f"{key} has run nothing{where} at the index {index}")
        begin = 0 if tail is None else await asyncio.to_thread(last_lines, path, min(int(tail), LIMIT_TAIL_LINES))
        lines = self._log_lines(resource, int(index), part, path, begin, _follows(request))
        return StreamingResponse(lines, media_type="text/plain; charset=utf-8")

    async def metrics(self, request: Request, key: Key) -> Response:
        path = self._metrics_of(await self._store.get(key))
        if path is None:
            raise NoSuchResource(f"{key} has no metrics: only a program with a run directory can write them")
        rows = self._metric_rows(key, path, _follows(request))
        return StreamingResponse(rows, media_type="application/x-ndjson")

    async def _metric_rows(self, key: Key, path: Path, follow: bool) -> AsyncIterator[str]:
        async def has_ended() -> bool:
            return not follow or await self._has_ended(key)

        async for rows in follow_rows(path, has_ended):
            yield "".join(json.dumps(row) + "\n" for row in rows)

    async def _log_lines(
        self, resource: AnyResource, index: int, part: str, path: Path, offset: int, follow: bool
    ) -> AsyncIterator[bytes]:
        """The log to its end; with ``follow`` until the resource has finished, through later attempts."""
        while True:
            finished = not follow or await self._has_ended(resource.key)
            while (read := await asyncio.to_thread(read_log, path, offset))[1]:
                offset, lines = read
                yield lines
            later = self._log_of(resource, index, part) if follow else path
            if later and later != path:
                path, offset = later, 0
            elif finished:
                return
            else:
                await asyncio.sleep(LOG_PAUSE_S)

    async def _has_ended(self, key: Key) -> bool:
        try:
            return has_finished((await self._store.get(key)).status.conditions)
        except NoSuchResource:
            return True


def _follows(request: Request) -> bool:
    return request.query_params.get("follow") in ("1", "true")
