"""An API server in miniature, over a real socket: it lists and watches ConfigMaps, keeps a Lease, and misbehaves.

Not Kubernetes: only what tests of clients need that a real server does not do when asked to.
"""

import asyncio
import json
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from lightkube.config.kubeconfig import KubeConfig

from lykeion.platform.kubernetes.api.cluster_client import ClusterClient
from lykeion.platform.kubernetes.api.request_rate import RequestRate

Document = dict[str, Any]


@dataclass
class Request:
    method: str
    path: str
    query: dict[str, str]
    body: Document
    headers: dict[str, str]


@dataclass
class Answer:
    """``None`` as the code closes the connection without an answer."""

    code: int | None = 200
    body: Document | str = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)


class FakeApiServer:
    """``answers`` are given first, in order; after them it does what a server does.

    ``watches`` says how each watch ends: ``close`` after its changes, ``silent`` never says anything more, ``gone``
    says 410, ``garbage`` is no JSON; a watch beyond the list stays open for later changes.
    """

    def __init__(self) -> None:
        self.objects: dict[str, Document] = {}
        self.changes: list[tuple[int, str, Document]] = []
        self.version = 10
        self.oldest = 0
        self.page = 500
        self.answers: deque[Answer] = deque()
        self.watches: deque[str] = deque()
        self.requests: list[Request] = []
        self.port = 0
        self._server: asyncio.Server | None = None
        self._changed = asyncio.Event()
        self._connections: set[asyncio.Task[None]] = set()
        self.asked = asyncio.Event()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._connection, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """As a server that is killed: connections are closed, later ones refused."""
        assert self._server
        self._server.close()
        for each in tuple(self._connections):
            each.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def client(self, **options: Any) -> ClusterClient:
        access = KubeConfig.from_server(f"http://127.0.0.1:{self.port}").get()
        assert access
        return ClusterClient(access, RequestRate(per_s=10_000, burst=10_000), **options)

    def put(self, name: str, **data: str) -> Document:
        type_ = "MODIFIED" if name in self.objects else "ADDED"
        self.version += 1
        uid = self.objects[name]["metadata"]["uid"] if name in self.objects else f"uid-{self.version}"
        metadata = {"name": name, "namespace": "default", "uid": uid, "resourceVersion": str(self.version)}
        self.objects[name] = {"metadata": metadata, "data": data}
        self._note(type_, self.objects[name])
        return self.objects[name]

    def remove(self, name: str) -> None:
        self.version += 1
        gone = self.objects.pop(name)
        self._note("DELETED", {**gone, "metadata": {**gone["metadata"], "resourceVersion": str(self.version)}})

    def forget(self) -> None:
        """The history of changes, as etcd's compaction does."""
        self.oldest, self.changes = self.version, []

    async def until(self, count: int, **wanted: str) -> None:
        """Wait until so many requests were made, of those with these values."""
        while len(self.seen(**wanted)) < count:
            self.asked.clear()
            await self.asked.wait()

    def seen(self, **query: str) -> list[Request]:
        return [each for each in self.requests if query.items() <= each.query.items()]

    def _note(self, type_: str, document: Document) -> None:
        self.changes.append((self.version, type_, document))
        self._changed.set()
        self._changed = asyncio.Event()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._connections.add(task)
        try:
            while request := await _read(reader):
                self.requests.append(request)
                self.asked.set()
                if not await self._answer(request, writer):
                    return
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._connections.discard(task)
            writer.close()

    async def _answer(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        """Returns whether the connection stays open."""
        if self.answers:
            answer = self.answers.popleft()
            if answer.code is None:
                return False
            _write(writer, answer)
        elif request.query.get("watch"):
            await self._watch(request, writer)
            return False
        else:
            _write(writer, self._listed(request))
        await writer.drain()
        return True

    def _listed(self, request: Request) -> Answer:
        names = sorted(self.objects)
        first = int(request.query.get("continue") or 0)
        limit = min(int(request.query.get("limit") or self.page), self.page)
        metadata: Document = {"resourceVersion": str(self.version)}
        if first + limit < len(names):
            metadata["continue"] = str(first + limit)
        items = [self.objects[name] for name in names[first : first + limit]]
        return Answer(body={"kind": "ConfigMapList", "metadata": metadata, "items": items})

    async def _watch(self, request: Request, writer: asyncio.StreamWriter) -> None:
        since, end = int(request.query["resourceVersion"]), self.watches.popleft() if self.watches else "open"
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n")
        if since < self.oldest or end == "gone":
            gone = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}
            _line(writer, "ERROR", gone)
            return await writer.drain()
        while True:
            changed = self._changed
            for version, type_, document in self.changes:
                if version > since:
                    since = version
                    _line(writer, type_, document)
            if end == "garbage":
                writer.write(b"<html>\n")
            await writer.drain()
            if end in ("close", "garbage"):
                return None
            await (asyncio.Event().wait() if end == "silent" else changed.wait())


def status(code: int, reason: str, message: str = "", **details: Any) -> Answer:
    body = {"kind": "Status", "code": code, "reason": reason, "message": message, "details": details}
    return Answer(code, body)


@asynccontextmanager
async def fake_api_server() -> AsyncGenerator[FakeApiServer]:
    server = FakeApiServer()
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


def _line(writer: asyncio.StreamWriter, type_: str, document: Document) -> None:
    writer.write(json.dumps({"type": type_, "object": document}).encode() + b"\n")


def _write(writer: asyncio.StreamWriter, answer: Answer) -> None:
    body = answer.body if isinstance(answer.body, str) else json.dumps(answer.body)
    headers = {"Content-Length": str(len(body.encode())), "Content-Type": "application/json", **answer.headers}
    lines = [f"HTTP/1.1 {answer.code} X", *(f"{name}: {value}" for name, value in headers.items()), "", body]
    writer.write("\r\n".join(lines).encode())


async def _read(reader: asyncio.StreamReader) -> Request | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.strip().split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.lower(): value for name, _, value in (each.partition(": ") for each in lines)}
    body = await reader.readexactly(int(headers.get("content-length") or 0))
    url = urlsplit(target)
    query = {name: values[0] for name, values in parse_qs(url.query, keep_blank_values=True).items()}
    return Request(method, url.path, query, json.loads(body) if body else {}, headers)
