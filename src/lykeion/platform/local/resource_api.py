"""The API of the platform on this machine, with the paths and responses of Kubernetes' API for custom resources.

https://kubernetes.io/docs/reference/using-api/api-concepts/
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from lykeion.control import (
    API_VERSION,
    AnyKind,
    AnyResource,
    Event,
    Key,
    NoSuchResource,
    ResourceError,
    ResourceStore,
    read_resource,
)
from lykeion.core import LykeionError, parse_json
from lykeion.core.fields import Fields
from lykeion.platform.policies.completion import has_finished

from .answers import SHUTDOWN_PATH, status_document
from .metrics_file import follow_rows
from .processes.output_log import last_lines, read_log

LIMIT_BODY_BYTES = 1 << 20
LIMIT_TAIL_LINES = 1 << 20
LOG_PAUSE_S = 0.2

_log = logging.getLogger("lykeion.platform")

LogOf = Callable[[AnyResource, int, str], Path | None]
MetricsOf = Callable[[AnyResource], Path | None]


def resource_api(
    store: ResourceStore,
    kinds: Mapping[str, AnyKind],
    log_of: LogOf,
    metrics_of: MetricsOf,
    shut_down: Callable[[], None],
) -> Starlette:
    """``log_of`` finds the log of a resource's index, ``metrics_of`` the file of its metrics, if it has one.

    The socket's permissions control access.
    """
    api = _Api(store, kinds, log_of, metrics_of)
    routes = [route for prefix in ("/api/v1", f"/apis/{API_VERSION}") for route in _routes(api, prefix)]
    routes.append(Route(SHUTDOWN_PATH, partial(_shut_down, shut_down), methods=["POST"]))
    return Starlette(routes=routes, exception_handlers={LykeionError: _answer, Exception: _answer})


def _routes(api: "_Api", prefix: str) -> list[Route]:
    one = f"{prefix}/namespaces/{{namespace}}/{{plural}}"
    return [
        Route(f"{prefix}/{{plural}}", api.list),
        Route(one, api.list),
        Route(one, api.create, methods=["POST"]),
        Route(one + "/{name}", api.get),
        Route(one + "/{name}", api.apply, methods=["PUT"]),
        Route(one + "/{name}", api.delete, methods=["DELETE"]),
        Route(one + "/{name}/status", api.write_status, methods=["PUT"]),
        Route(one + "/{name}/events", api.events),
        Route(one + "/{name}/events", api.record, methods=["POST"]),
        Route(one + "/{name}/log", api.log),
        Route(one + "/{name}/metrics", api.metrics),
    ]


class _Api:
    def __init__(
        self, store: ResourceStore, kinds: Mapping[str, AnyKind], log_of: LogOf, metrics_of: MetricsOf
    ) -> None:
        self._store, self._kinds, self._log_of, self._metrics_of = store, kinds, log_of, metrics_of
        self._by_plural = {kind.plural: kind for kind in kinds.values()}

    async def list(self, request: Request) -> Response:
        kind, namespace = self._kind(request), request.path_params.get("namespace")
        if request.query_params.get("watch") in ("1", "true"):
            since = request.query_params.get("resourceVersion", "")
            if not since.isdecimal():
                raise ResourceError("resourceVersion must be that of a list")
            return StreamingResponse(self._changes(kind, since, namespace), media_type="application/json")
        listing = await self._store.listing(kind, namespace)
        return JSONResponse(
            {
                "apiVersion": kind.api_version,
                "kind": f"{kind.name}List",
                "metadata": {"resourceVersion": listing.version, "unreadable": dict(listing.unreadable)},
                "items": [each.document() for each in listing.items],
            }
        )

    async def create(self, request: Request) -> Response:
        return JSONResponse((await self._store.create(await self._body(request))).document(), 201)

    async def get(self, request: Request) -> Response:
        return JSONResponse((await self._store.get(self._key(request))).document())

    async def apply(self, request: Request) -> Response:
        resource = await self._body(request)
        if resource.metadata.name != request.path_params["name"]:
            raise ResourceError(f"the path names {request.path_params['name']}, the body {resource.metadata.name}")
        return JSONResponse((await self._store.apply(resource)).document())

    async def write_status(self, request: Request) -> Response:
        return JSONResponse((await self._store.write_status(await self._body(request))).document())

    async def delete(self, request: Request) -> Response:
        await self._store.delete(self._key(request), request.query_params.get("uid", ""))
        return JSONResponse({"kind": "Status", "apiVersion": "v1", "status": "Success"})

    async def events(self, request: Request) -> Response:
        events = await self._store.events(self._key(request))
        return JSONResponse(
            {
                "items": [
                    {
                        "eventTime": each.at.isoformat(),
                        "type": each.event.type,
                        "reason": each.event.reason,
                        "message": each.event.message,
                    }
                    for each in events
                ]
            }
        )

    async def record(self, request: Request) -> Response:
        body = await self._json(request)
        resource = await self._store.get(self._key(request))
        if body.get("uid") != resource.metadata.uid or body.get("type") not in ("Normal", "Warning"):
            raise ResourceError("the body is not an event of this resource")
        event = Event(body["type"], str(body.get("reason"))[:63], str(body.get("message"))[:1024])
        await self._store.record(resource, event)
        return JSONResponse({}, 201)

    async def log(self, request: Request) -> Response:
        key = self._key(request)
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

    async def metrics(self, request: Request) -> Response:
        key = self._key(request)
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

    async def _changes(self, kind: AnyKind, since: str, namespace: str | None) -> AsyncIterator[bytes]:
        try:
            async for change in self._store.watch(kind, since):
                if namespace in (None, change.resource.metadata.namespace):
                    yield json.dumps({"type": change.type, "object": change.resource.document()}).encode() + b"\n"
        except LykeionError as error:
            yield json.dumps({"type": "ERROR", "object": status_document(error)}).encode() + b"\n"

    async def _json(self, request: Request) -> dict[str, Any]:
        data = bytearray()
        async for part in request.stream():
            data += part
            if len(data) > LIMIT_BODY_BYTES:
                raise ResourceError(f"the body is larger than {LIMIT_BODY_BYTES >> 20} MiB")
        return parse_json(bytes(data), ResourceError, "resource", where="the body: ")

    async def _body(self, request: Request) -> AnyResource:
        resource = read_resource(Fields("the body", await self._json(request)), self._kinds)
        if (resource.kind, resource.metadata.namespace) != (self._kind(request), request.path_params["namespace"]):
            raise ResourceError("the path names another kind or namespace than the body")
        return resource

    def _kind(self, request: Request) -> AnyKind:
        plural = request.path_params["plural"]
        if plural not in self._by_plural:
            raise NoSuchResource(f"there is no kind {plural[:60]!r}; there are {', '.join(sorted(self._by_plural))}")
        return self._by_plural[plural]

    def _key(self, request: Request) -> Key:
        return Key(self._kind(request).name, request.path_params["namespace"], request.path_params["name"])


async def _answer(request: Request, error: Exception) -> Response:
    if not isinstance(error, LykeionError):
        _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    status = status_document(error)
    return JSONResponse(status, status["code"])


async def _shut_down(shut_down: Callable[[], None], request: Request) -> Response:
    return JSONResponse({}, 202, background=BackgroundTask(shut_down))


def _follows(request: Request) -> bool:
    return request.query_params.get("follow") in ("1", "true")
