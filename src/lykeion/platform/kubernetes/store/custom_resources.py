"""The kinds that a cluster is given definitions of, Secret and ConfigMap: one object for each resource."""

import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

from lykeion.control import (
    AnyKind,
    AnyResource,
    Change,
    Key,
    Listing,
    NoSuchResource,
    Outdated,
    ResourceError,
)
from lykeion.platform.kubernetes.api import (
    ClusterClient,
    ListedVersions,
    UidMismatch,
    WatchAges,
    Watched,
    WatchTimes,
    list_objects,
    watch_objects,
)
from lykeion.platform.kubernetes.objects import MANAGER, KubeObject, custom_type

from .cluster_documents import (
    at_version,
    foreign_conditions,
    is_gone,
    read_document,
    replacing,
    with_finalizer,
    written,
)
from .merged_watches import join_versions, merged, split_versions

_log = logging.getLogger("lykeion.kubernetes")
_BY = {"fieldManager": MANAGER}
_ATTEMPTS = 3
"""Of replacing an object that others change at the same time."""


class CustomResources:
    """``namespaces`` are those to look into; None is all."""

    def __init__(
        self,
        client: ClusterClient,
        kinds: Mapping[str, AnyKind],
        namespaces: tuple[str | None, ...],
        ages: WatchAges,
        times: WatchTimes,
    ) -> None:
        self._client, self._kinds, self._namespaces = client, kinds, namespaces
        self._ages, self._times = ages, times
        self._newest, self._versions = 0, ListedVersions()
        self._foreign: dict[str, dict[str, Any]] = {}

    async def get(self, key: Key) -> AnyResource:
        return self._read(await self._document(key))

    async def listing(self, kind: AnyKind, namespace: str | None) -> Listing:
        found: list[AnyResource] = []
        versions: list[str] = []
        for watched in self._watched(kind, namespace):
            documents, version = await list_objects(self._client, watched)
            found += filter(None, (self._readable(each) for each in documents if not is_gone(each)))
            versions.append(version)
            self._versions.check(watched, version)
            self._newest = max(self._newest, int(version))
        found.sort(key=lambda each: each.key)
        return Listing(tuple(found), join_versions(versions))

    async def watch(self, kind: AnyKind, since: str) -> AsyncGenerator[Change, None]:
        watched = self._watched(kind, None)
        watches = [
            watch_objects(self._client, each, version, self._ages, self._times, doubtful=int(version) > self._newest)
            for each, version in zip(watched, split_versions(since, len(watched)), strict=True)
        ]
        async with aclosing(merged(watches)) as events:
            async for event in events:
                if resource := self._readable(event.object, ended=event.type == "DELETED"):
                    ended = event.type == "DELETED" or is_gone(event.object)
                    yield Change("DELETED" if ended else "ADDED" if event.type == "ADDED" else "MODIFIED", resource)

    async def create(self, resource: AnyResource) -> AnyResource:
        path = custom_type(resource.kind).path(resource.metadata.namespace)
        return self._read(await self._client.post(path, str(resource.key), written(resource), _BY))

    async def apply(self, resource: AnyResource) -> AnyResource:
        """Of a person's object, what the person says; of a child, all that there is: it is ours alone."""
        write = self._replace if resource.owner else self._server_side
        try:
            return await write(resource)
        except (Outdated, NoSuchResource, ResourceError) as error:
            raise await self._explained(resource, error) from None

    async def write_status(self, resource: AnyResource) -> AnyResource:
        """Conditions that only another writer has are not sent: else they would be ours too, and never go away."""
        status = resource.document().get("status", {})
        foreign = self._foreign.get(resource.metadata.uid, {})
        if "conditions" in status:
            status["conditions"] = [each for each in status["conditions"] if foreign.get(each["type"]) != each]
        head = written(resource)
        document = {**{name: head[name] for name in ("apiVersion", "kind")}, "status": status}
        names = ("name", "namespace") if resource.kind.namespaced else ("name",)
        document["metadata"] = {name: head["metadata"][name] for name in names}
        path, query = self._path(resource.key) + "/status", {**_BY, "force": "true"}
        try:
            sent = at_version(document, resource)
            return self._read(await self._client.patch(path, str(resource.key), sent, "apply", query))
        except (Outdated, NoSuchResource, ResourceError) as error:
            raise await self._explained(resource, error, must_exist=True) from None

    async def set_finalizer(self, resource: AnyResource, has: bool) -> AnyResource:
        """Raises NoSuchResource, and Outdated if the object has been changed since it was read."""
        path, patch = self._path(resource.key), with_finalizer(resource, has)
        try:
            return self._read(await self._client.patch(path, str(resource.key), patch, "merge", _BY))
        except (Outdated, NoSuchResource, ResourceError) as error:
            raise await self._explained(resource, error, must_exist=True) from None

    async def delete(self, key: Key, uid: str) -> None:
        options: KubeObject = {"propagationPolicy": "Background"}
        if uid:
            options["preconditions"] = {"uid": uid}
        try:
            await self._client.delete(self._path(key), str(key), options)
        except UidMismatch:
            raise NoSuchResource(f"{key} was deleted and made again") from None
        except NoSuchResource:
            raise _missing(key) from None

    async def _document(self, key: Key) -> KubeObject:
        try:
            return await self._client.get(self._path(key), str(key))
        except NoSuchResource:
            raise _missing(key) from None

    async def _server_side(self, resource: AnyResource) -> AnyResource:
        """The object is read first: what another manager wrote is a change to the server even if it is the same."""
        try:
            there = await self.get(resource.key)
        except NoSuchResource:
            there = None
        if there and _is_as_asked(there, resource):
            return there
        document, query = at_version(written(resource), resource), {**_BY, "force": "true"}
        path = self._path(resource.key)
        return self._read(await self._client.patch(path, str(resource.key), document, "apply", query))

    async def _replace(self, resource: AnyResource) -> AnyResource:
        """The object is read first: what an update leaves out is removed."""
        for attempt in range(_ATTEMPTS):
            there = await self._document(resource.key)
            try:
                changes, path = replacing(there, resource), self._path(resource.key)
                return self._read(await self._client.patch(path, str(resource.key), changes, "merge", _BY))
            except Outdated:
                if resource.metadata.resource_version or attempt == _ATTEMPTS - 1:
                    raise
        raise AssertionError

    async def _explained(self, resource: AnyResource, error: Exception, *, must_exist: bool = False) -> Exception:
        """What has happened to the object since it was read, in the words of all stores."""
        key, asked = resource.key, resource.metadata
        if isinstance(error, ResourceError) and not asked.uid:
            return error
        try:
            there = await self._document(key)
        except NoSuchResource as missing:
            return missing if must_exist or not asked.uid else Outdated(f"{key} was deleted since it was read")
        if asked.uid and there["metadata"]["uid"] != asked.uid:
            return Outdated(f"{key} was deleted and made again since it was read")
        return Outdated(f"{key} was changed since it was read") if isinstance(error, Outdated) else error

    def _watched(self, kind: AnyKind, namespace: str | None) -> list[Watched]:
        if not kind.namespaced:
            return [Watched(custom_type(kind))]
        chosen = (namespace,) if namespace else self._namespaces
        return [Watched(custom_type(kind), each) for each in chosen]

    def _path(self, key: Key) -> str:
        return custom_type(self._kinds[key.kind]).path(key.namespace, key.name)

    def _read(self, document: KubeObject) -> AnyResource:
        resource = read_document(document, self._kinds)
        if foreign := foreign_conditions(document):
            self._foreign[resource.metadata.uid] = foreign
        else:
            self._foreign.pop(resource.metadata.uid, None)
        return resource

    def _readable(self, document: KubeObject, *, ended: bool = False) -> AnyResource | None:
        """The resource, or None for one that another version of Lykeion wrote: one must not hide the others."""
        try:
            resource = self._read(document)
        except ResourceError as wrong:
            _log.warning("%s; it is left alone", wrong)
            return None
        if ended:
            self._foreign.pop(resource.metadata.uid, None)
        return resource


def _is_as_asked(there: AnyResource, asked: AnyResource) -> bool:
    same = (there.metadata.uid, there.metadata.resource_version)
    said = (asked.metadata.uid or same[0], asked.metadata.resource_version or same[1])
    labels, annotations = asked.metadata.labels.items(), asked.metadata.annotations.items()
    carried = labels <= there.metadata.labels.items() and annotations <= there.metadata.annotations.items()
    return said == same and there.spec == asked.spec and carried


def _missing(key: Key) -> NoSuchResource:
    return NoSuchResource(f"there is no {key} in the namespace {key.namespace}")
