"""Resources of a store over HTTP, with the paths and responses of Kubernetes' API for custom resources.

https://kubernetes.io/docs/reference/using-api/api-concepts/
"""

import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import partial
from typing import Any, TypeAlias

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

from .api_status import SHUTDOWN_PATH, status_document

LIMIT_BODY_BYTES = 1 << 20

_log = logging.getLogger("lykeion.resource_api")

Subresource: TypeAlias = Callable[[Request, Key], Awaitable[Response]]
"""Answers a request for something of a resource, such as its log."""


def resource_api(
    store: ResourceStore,
    kinds: Mapping[str, AnyKind],
    shut_down: Callable[[], None],
    subresources: Mapping[str, Subresource] | None = None,
) -> Starlette:
    """``subresources`` are by the last part of their path. The permissions of the socket control access."""
    api = _Api(store, kinds)
    more = subresources or {}
    routes = [route for prefix in ("/api/v1", f"/apis/{API_VERSION}") for route in _routes(api, prefix, more)]
    routes.append(Route(SHUTDOWN_PATH, partial(_shut_down, shut_down), methods=["POST"]))
    return Starlette(routes=routes, exception_handlers={LykeionError: _answer, Exception: _answer})


def _routes(api: "_Api", prefix: str, subresources: Mapping[str, Subresource]) -> list[Route]:
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
        *(Route(f"{one}/{{name}}/{part}", api.asking(answer)) for part, answer in subresources.items()),
    ]


class _Api:
    def __init__(self, store: ResourceStore, kinds: Mapping[str, AnyKind]) -> None:
        self._store, self._kinds = store, kinds
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

    def asking(self, subresource: Subresource) -> Callable[[Request], Awaitable[Response]]:
        async def ask(request: Request) -> Response:
            return await subresource(request, self._key(request))

        return ask

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
