"""The resources of a running server, through its socket."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from lykeion.control import (
    AnyKind,
    AnyResource,
    Change,
    Event,
    Happened,
    Key,
    Listing,
    read_resource,
)
from lykeion.core import Unavailable, json_value
from lykeion.core.fields import Fields

from .api_status import REASONS, SHUTDOWN_PATH

LIMIT_ANSWER_BYTES = 1 << 30


class ServerUnreachable(Unavailable):
    """The server does not run, or does not respond as it should."""


class SocketStore:
    """``kinds`` are by name; ``absent`` is the message if no server runs. Used as an asynchronous context manager."""

    def __init__(self, socket: Path, kinds: dict[str, AnyKind], absent: str) -> None:
        self._socket, self._kinds, self._absent = socket, kinds, absent
        transport = httpx.AsyncHTTPTransport(uds=str(socket))
        self._client = httpx.AsyncClient(transport=transport, base_url="http://lykeion", timeout=60)

    async def __aenter__(self) -> "SocketStore":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def get(self, key: Key) -> AnyResource:
        return self._read(await self._ask("GET", self._path(self._kinds[key.kind], key.namespace, key.name)))

    async def listing(self, kind: AnyKind, namespace: str | None = None) -> Listing:
        answer = await self._ask("GET", self._path(kind, namespace))
        head = answer["metadata"]
        items = tuple(map(self._read, answer["items"]))
        return Listing(items, head["resourceVersion"], head.get("unreadable", {}))

    async def watch(self, kind: AnyKind, since: str) -> AsyncGenerator[Change, None]:
        query = {"watch": "1", "resourceVersion": since}
        async with self._stream(self._path(kind, None), query) as answer:
            async for line in answer.aiter_lines():
                event = json_value(line, ServerUnreachable, "change", limit=LIMIT_ANSWER_BYTES)
                if event["type"] == "ERROR":
                    raise _error(event["object"])
                yield Change(event["type"], self._read(event["object"]))
        raise ServerUnreachable("the server has ended the connection")

    async def create(self, resource: AnyResource) -> AnyResource:
        return self._read(
            await self._ask("POST", self._path(resource.kind, resource.metadata.namespace), resource.document())
        )

    async def apply(self, resource: AnyResource) -> AnyResource:
        return self._read(await self._ask("PUT", self._path_of(resource), resource.document()))

    async def write_status(self, resource: AnyResource) -> AnyResource:
        return self._read(await self._ask("PUT", self._path_of(resource) + "/status", resource.document()))

    async def delete(self, key: Key, uid: str = "") -> None:
        path = self._path(self._kinds[key.kind], key.namespace, key.name)
        await self._ask("DELETE", path, query={"uid": uid} if uid else {})

    async def record(self, resource: AnyResource, event: Event) -> None:
        body = {"uid": resource.metadata.uid, "type": event.type, "reason": event.reason, "message": event.message}
        await self._ask("POST", self._path_of(resource) + "/events", body)

    async def shut_down(self) -> None:
        """Ask the server to stop; it responds before it does."""
        await self._ask("POST", SHUTDOWN_PATH)

    async def events(self, key: Key) -> tuple[Happened, ...]:
        answer = await self._ask("GET", self._path(self._kinds[key.kind], key.namespace, key.name) + "/events")
        return tuple(
            Happened(datetime.fromisoformat(each["eventTime"]), Event(each["type"], each["reason"], each["message"]))
            for each in answer["items"]
        )

    async def log(
        self, key: Key, index: int = 0, *, part: str = "", follow: bool = False, tail: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """The output of the last attempt at an index; with ``follow``, until the resource has finished.

        ``part`` is a step of a run, or a part of a resource such as ``publish``. ``tail`` is how many of the lines
        there are now to begin with; by default all that are kept.
        """
        path = self._path(self._kinds[key.kind], key.namespace, key.name) + "/log"
        asked = {"index": str(index), "part": part, "follow": str(int(follow))}
        last = {} if tail is None else {"tailLines": str(tail)}
        async with self._stream(path, {**asked, **last}) as answer:
            async for chunk in answer.aiter_bytes():
                yield chunk

    async def metrics(self, key: Key, *, follow: bool = False) -> AsyncGenerator[dict[str, float], None]:
        """The last rows of a run's metrics; with ``follow``, until the resource has finished."""
        path = self._path(self._kinds[key.kind], key.namespace, key.name) + "/metrics"
        async with self._stream(path, {"follow": str(int(follow))}) as answer:
            async for line in answer.aiter_lines():
                yield json_value(line, ServerUnreachable, "row of metrics")

    async def _ask(
        self, method: str, path: str, body: dict[str, Any] | None = None, query: dict[str, str] | None = None
    ) -> dict[str, Any]:
        try:
            answer = await self._client.request(method, path, json=body, params=query or {})
        except httpx.HTTPError as error:
            raise self._unreachable(error) from None
        return self._checked(answer.status_code, answer.content)

    @asynccontextmanager
    async def _stream(self, path: str, query: dict[str, str]) -> AsyncGenerator[httpx.Response]:
        timeout = httpx.Timeout(60, read=None)  # there may be no change for days
        try:
            async with self._client.stream("GET", path, params=query, timeout=timeout) as answer:
                if answer.is_error:
                    self._checked(answer.status_code, await answer.aread())
                yield answer
        except httpx.HTTPError as error:
            raise self._unreachable(error) from None

    def _checked(self, status: int, body: bytes) -> dict[str, Any]:
        answer = json_value(body, ServerUnreachable, "answer", where=f"{self._socket}: ", limit=LIMIT_ANSWER_BYTES)
        if status >= 400:
            raise _error(answer)
        return answer

    def _unreachable(self, error: Exception) -> ServerUnreachable:
        if isinstance(error, httpx.ConnectError):
            return ServerUnreachable(self._absent)
        return ServerUnreachable(f"{self._socket}: {error or type(error).__name__}")

    def _read(self, document: dict[str, Any]) -> AnyResource:
        return read_resource(Fields("the server's answer", document), self._kinds)

    def _path_of(self, resource: AnyResource) -> str:
        return self._path(resource.kind, resource.metadata.namespace, resource.metadata.name)

    def _path(self, kind: AnyKind, namespace: str | None, name: str = "") -> str:
        inside = f"/namespaces/{namespace}" if namespace else ""
        group = "apis" if "/" in kind.api_version else "api"
        return f"/{group}/{kind.api_version}{inside}/{kind.plural}" + (f"/{name}" if name else "")


def _error(status: dict[str, Any]) -> Exception:
    type_, _ = REASONS.get(str(status.get("reason")), (ServerUnreachable, 500))
    return type_(str(status.get("message")))
