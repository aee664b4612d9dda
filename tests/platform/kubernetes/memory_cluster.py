"""A cluster in memory, behind the methods of a ClusterClient: objects, versions, finalizers, owners, watches.

The double of the API server for tests of what goes on between two clusters; tests/e2e has the real ones.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from lykeion.control import Exists, NoSuchResource, Outdated

Document = dict[str, Any]
TIME = "2026-11-01T12:00:00Z"


class MemoryCluster:
    """``error`` is raised by each request while it is set; while it is ``silent``, none is answered."""

    def __init__(self, name: str, namespace: str = "default", *, silent: bool = False) -> None:
        self.server, self.namespace, self.name = f"https://{name}", namespace, name
        self.objects: dict[str, Document] = {}
        self.error: Exception | None = None
        self.silent, self.waiting, self.most_waiting, self.answered = silent, 0, 0, 0
        self._version, self._changes = 0, list[tuple[int, str, str, Document]]()
        self._changed = asyncio.Event()

    async def close(self) -> None:
        """Another client of it goes on."""

    async def get(self, path: str, what: str, query: Any = None) -> Document:
        await self._asked()
        if query and "limit" in query:
            return self._listed(path, query)
        if path in self.objects:
            return deepcopy(self.objects[path])
        raise NoSuchResource(f"there is no {what}")

    async def get_metadata(self, path: str, what: str, query: Any = None) -> Document:
        page = await self.get(path, what, query)
        return {**page, "items": [{"metadata": each["metadata"]} for each in page["items"]]}

    async def post(self, path: str, what: str, document: Document, query: Any = None) -> Document:
        await self._asked()
        name = f"{path}/{document['metadata']['name']}"
        if name in self.objects:
            raise Exists(f"there is a {what} already")
        metadata = {"uid": f"{self.name}-{self._version}", "creationTimestamp": TIME, "generation": 1}
        made = deepcopy(document)
        made["metadata"] = {**made["metadata"], **metadata, "namespace": path.split("/")[-2]}
        return self._write(name, made, "ADDED")

    async def patch(self, path: str, what: str, document: Document, type_: str, query: Any = None) -> Document:
        await self._asked()
        of_status, path = path.endswith("/status"), path.removesuffix("/status")
        if path not in self.objects:
            if type_ == "apply" and not of_status:
                return await self.post(path.rpartition("/")[0], what, document)
            raise NoSuchResource(f"there is no {what}")
        there = deepcopy(self.objects[path])
        for name in ("uid", "resourceVersion"):
            if document.get("metadata", {}).get(name, there["metadata"][name]) != there["metadata"][name]:
                raise Outdated(f"{what}: {name} is another")
        if of_status:
            changed = {**there, "status": document["status"]}
        else:
            changed = _merged(there, {name: each for name, each in document.items() if name != "status"})
        if changed.get("spec") != there.get("spec"):
            changed["metadata"]["generation"] += 1
        if changed == there:
            return there
        if "deletionTimestamp" in changed["metadata"] and not changed["metadata"].get("finalizers"):
            self._remove(path)
            return changed
        return self._write(path, changed, "MODIFIED")

    async def put(self, path: str, what: str, document: Document, query: Any = None) -> Document:
        """All of an object, if nobody has changed it since it was read."""
        await self._asked()
        if path not in self.objects:
            raise NoSuchResource(f"there is no {what}")
        if document["metadata"]["resourceVersion"] != self.objects[path]["metadata"]["resourceVersion"]:
            raise Outdated(f"{what} has been changed")
        return self._write(path, deepcopy(document), "MODIFIED")

    async def delete(self, path: str, what: str, options: Document) -> Document:
        await self._asked()
        if path not in self.objects:
            raise NoSuchResource(f"there is no {what}")
        there = deepcopy(self.objects[path])
        if options.get("preconditions", {}).get("uid", there["metadata"]["uid"]) != there["metadata"]["uid"]:
            raise NoSuchResource(f"{what} was made again")
        if options.get("preconditions", {}).get("resourceVersion") not in (
            None,
            there["metadata"]["resourceVersion"],
        ):
            raise Outdated(f"{what} was changed")
        if there["metadata"].get("finalizers"):
            there["metadata"]["deletionTimestamp"] = TIME
            return self._write(path, there, "MODIFIED")
        self._remove(path)
        return there

    @asynccontextmanager
    async def lines(
        self, path: str, what: str, query: Any, silence_s: float
    ) -> AsyncGenerator[AsyncGenerator[str, None]]:
        yield self._lines(path, int(query["resourceVersion"]))

    def kept(self, plural: str) -> list[Document]:
        return [each for path, each in self.objects.items() if path.split("/")[-2] == plural]

    def created(self, plural: str) -> int:
        return sum(type_ == "ADDED" and path.split("/")[-2] == plural for _, type_, path, _ in self._changes)

    async def until(self, holds: Callable[[], object]) -> None:
        while not holds():
            await self._changed.wait()

    def speak(self) -> None:
        """After it was silent."""
        self.silent = False
        self._wake()

    async def _asked(self) -> None:
        if self.silent:
            await self._waited()
        self.answered += 1
        if self.error:
            raise self.error

    async def _waited(self) -> None:
        self.waiting += 1
        self.most_waiting = max(self.most_waiting, self.waiting)
        self._wake()
        try:
            await self.until(lambda: not self.silent)
        finally:
            self.waiting -= 1

    def _listed(self, path: str, query: dict[str, str]) -> Document:
        wanted = dict(each.split("=", 1) for each in filter(None, query.get("labelSelector", "").split(",")))
        _, _, named = query.get("fieldSelector", "").partition("metadata.name=")
        items = [
            deepcopy(each)
            for name, each in self.objects.items()
            if _is_in(name, path)
            and wanted.items() <= each["metadata"].get("labels", {}).items()
            and named in ("", each["metadata"]["name"])
        ]
        return {"items": items, "metadata": {"resourceVersion": str(self._version)}}

    def _write(self, path: str, document: Document, type_: str) -> Document:
        self._version += 1
        document["metadata"]["resourceVersion"] = str(self._version)
        self.objects[path] = document
        self._note(type_, path, document)
        return deepcopy(document)

    def _remove(self, path: str) -> None:
        gone = self.objects.pop(path)
        self._version += 1
        gone["metadata"]["resourceVersion"] = str(self._version)
        self._note("DELETED", path, gone)
        uid = gone["metadata"]["uid"]
        for other, each in list(self.objects.items()):
            if any(owner["uid"] == uid for owner in each["metadata"].get("ownerReferences", ())):
                self._remove(other)

    def _note(self, type_: str, path: str, document: Document) -> None:
        self._changes.append((self._version, type_, path, deepcopy(document)))
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _lines(self, path: str, since: int) -> AsyncGenerator[str, None]:
        while True:
            changed = self._changed
            for version, type_, name, document in [each for each in self._changes if each[0] > since]:
                since = version
                if _is_in(name, path):
                    yield json.dumps({"type": type_, "object": document})
            await changed.wait()


@dataclass
class Death:
    """Of a process: ``before`` or ``after`` its n-th write, in whichever cluster that is; then it asks nothing."""

    when: str = "never"
    number: int = 0
    writes: int = 0
    has_come: asyncio.Event = field(default_factory=asyncio.Event)

    async def passes(self, when: str) -> None:
        if self.when == when and self.writes == self.number:
            self.has_come.set()
        if self.has_come.is_set():
            await asyncio.Event().wait()


class MortalClient:
    """A client of a cluster that is killed with its process."""

    def __init__(self, cluster: MemoryCluster, death: Death) -> None:
        self._cluster, self._death = cluster, death
        self.server, self.namespace, self.lines, self.close = (
            cluster.server, cluster.namespace, cluster.lines, cluster.close,
        )  # fmt: skip

    async def get(self, *asked: Any) -> Document:
        await self._death.passes("read")
        return await self._cluster.get(*asked)

    async def post(self, *asked: Any) -> Document:
        return await self._written(self._cluster.post, *asked)

    async def patch(self, *asked: Any) -> Document:
        return await self._written(self._cluster.patch, *asked)

    async def delete(self, *asked: Any) -> Document:
        return await self._written(self._cluster.delete, *asked)

    async def _written(self, write: Callable[..., Awaitable[Document]], *asked: Any) -> Document:
        await self._death.passes("read")
        self._death.writes += 1
        await self._death.passes("before")
        try:
            return await write(*asked)
        finally:
            await self._death.passes("after")


def _is_in(name: str, path: str) -> bool:
    """Whether an object is one of a collection, perhaps of all namespaces."""
    *_, plural, _ = parts = name.split("/")
    everywhere = "/".join([*parts[:-4], plural])
    return path in (name.rpartition("/")[0], everywhere)


def _merged(old: Any, new: Any) -> Any:
    """https://www.rfc-editor.org/rfc/rfc7396."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        return new
    made = {**old, **{name: _merged(old.get(name), each) for name, each in new.items()}}
    return {name: each for name, each in made.items() if each is not None}
