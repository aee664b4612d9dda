"""The plain kinds in a cluster: each resource is a view of Kubernetes objects, by its kind's translation."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

from lykeion.control import (
    AnyKind,
    AnyResource,
    Change,
    Exists,
    Key,
    KeyQueue,
    Listing,
    NoSuchResource,
    Outdated,
    check_change,
)
from lykeion.core import LykeionError, Refused, Unavailable
from lykeion.platform.kubernetes.api import (
    ClusterClient,
    NotServed,
    UidMismatch,
    WatchAges,
    Watched,
    WatchTimes,
    list_objects,
)
from lykeion.platform.kubernetes.objects import (
    MANAGED_BY,
    MANAGER,
    NAME_LABEL,
    OWNER_UID_LABEL,
    PODS,
    ClusterFacts,
    KubeObject,
    ObjectChange,
    Translation,
    key_of,
    selector,
    type_of,
)

from .view_cache import ViewCache
from .view_state import REMEMBERED_UIDS, ViewName

_BY = {"fieldManager": MANAGER}
KEEP_REST_S = 5.0
"""Between two looks at what others have changed of one resource."""

_log = logging.getLogger("lykeion.kubernetes")


class PlainViews:
    """``translations`` are by the name of their kind; a kind is watched from its first use until ``close``.

    ``facts`` may be replaced, such as when the cluster's profile changes, by ``use``.
    """

    def __init__(
        self,
        client: ClusterClient,
        translations: Mapping[str, Translation],
        facts: ClusterFacts,
        namespaces: Sequence[str | None],
        ages: WatchAges,
        times: WatchTimes,
    ) -> None:
        self._client, self._translations, self._facts = client, translations, facts
        self._namespaces, self._ages, self._times = namespaces, ages, times
        self._caches: dict[str, ViewCache] = {}
        self._deleted: deque[str] = deque(maxlen=REMEMBERED_UIDS)
        """Primaries of which the watch has perhaps not said yet that they are gone."""

    async def close(self) -> None:
        for cache in self._caches.values():
            await cache.close()

    def use(self, facts: ClusterFacts) -> None:
        """For what is written from now on. What was refused is tried again."""
        if facts != self._facts:
            self._facts = facts
            for cache in self._caches.values():
                cache.reconsider()

    async def get(self, key: Key) -> AnyResource:
        cache = await self._cache(key.kind)
        await self._refresh(cache, key)
        return _found(cache, key)

    async def listing(self, kind: AnyKind, namespace: str | None) -> Listing:
        return (await self._cache(kind.name)).listing(namespace)

    async def watch(self, kind: AnyKind, since: str) -> AsyncGenerator[Change, None]:
        cache = await self._cache(kind.name)
        async for change in cache.changes(since):
            yield change

    async def create(self, resource: AnyResource) -> AnyResource:
        """The primary is created last: without it there is no resource, and the rest is found at the next attempt."""
        cache, translation = await self._cache(resource.kind.name), self._translations[resource.kind.name]
        primary, *others = translation.objects(resource, self._facts)
        there = cache.objects((resource.key.namespace, resource.key.name))[1]
        primary = translation.succeeding(resource, self._facts, there) or primary
        for document in (*others, primary):
            cache.put(await self._created(resource, document, is_primary=document is primary))
        return _found(cache, resource.key)

    async def apply(self, resource: AnyResource) -> AnyResource:
        cache, key, asked = await self._cache(resource.kind.name), resource.key, resource.metadata
        if cache.objects((key.namespace, key.name))[0] is None:
            if asked.uid or asked.resource_version:
                raise Outdated(f"{key} was deleted since it was read")
            return await self.create(resource)
        there = _found(cache, key)
        _check_version(resource, there)
        check_change(there, resource)
        await self._change(cache, resource)
        now = _found(cache, key)
        if now.spec != resource.spec:
            cache.expect((key.namespace, key.name))
        return now

    async def keep(self) -> None:
        """Write what others change or delete of the views that are to be kept, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for kind, translation in self._translations.items():
                if translation.is_kept:
                    tasks.create_task(self._keep_kind(kind))

    async def delete(self, key: Key, uid: str) -> None:
        cache = await self._cache(key.kind)
        await self._refresh(cache, key)  # what was made a moment ago is deleted with it
        primary, others = cache.objects((key.namespace, key.name))
        if primary is None:
            raise _missing(key)
        if uid and primary["metadata"]["uid"] != uid:
            raise NoSuchResource(f"{key} was deleted and made again")
        if "deletionTimestamp" not in primary["metadata"]:
            self._deleted.append(primary["metadata"]["uid"])
            foreground = self._translations[key.kind].waits_for_pods
            await self._delete(primary, "Foreground" if foreground else "Background")
            for each in others:
                if _was_made(each):
                    await self._delete(each, "Background")

    async def _keep_kind(self, kind: str) -> None:
        cache, queue = await self._started_cache(kind), KeyQueue[ViewName]()
        for each in cache.listing(None).items:
            queue.add((each.metadata.namespace, each.metadata.name))
        cache.changed = queue.add
        while True:
            view = await queue.get()
            resource = cache.resource(view)
            try:
                if resource and await self._change(cache, resource):
                    _log.info("%s was not as its spec asks, and is again", resource.key)
            except LykeionError as error:
                _log.warning("%s; trying again", error)
                queue.failed(view)
            except Exception:
                _log.exception("%s/%s cannot be kept; trying again", *view)
                queue.failed(view)
            else:
                queue.done(view, KEEP_REST_S)

    async def _change(self, cache: ViewCache, resource: AnyResource) -> bool:
        """Write what the objects of a resource lack. Returns whether that was something. Raises Outdated."""
        key = resource.key
        primary, others = cache.objects((key.namespace, key.name))
        if (
            primary is None
            or "deletionTimestamp" in primary["metadata"]
            or primary["metadata"]["uid"] in self._deleted
        ):
            return False
        changes = self._translations[key.kind].changes((primary, *others), resource, self._facts)
        for change in changes:
            primary, others = cache.objects((key.namespace, key.name))
            known = {key_of(each): each for each in (primary, *others) if each}
            try:
                await self._write(cache, resource, change, known)
            except (Outdated, NoSuchResource) as error:
                raise Outdated(f"{key} was changed since it was read: {error}") from None
        return bool(changes)

    async def _cache(self, kind: str) -> ViewCache:
        if kind not in self._caches:
            self._caches[kind] = ViewCache(
                self._client, self._translations[kind], self._namespaces, self._ages, self._times
            )
        await self._caches[kind].start()
        return self._caches[kind]

    async def _started_cache(self, kind: str) -> ViewCache:
        """As soon as the server can be asked."""
        failures = 0
        while True:
            try:
                return await self._cache(kind)
            except (Unavailable, Refused) as error:
                failures += 1
                _log.warning("%s; asking again", error)
                await asyncio.sleep(self._times.back_off_s(failures))

    async def _refresh(self, cache: ViewCache, key: Key) -> None:
        """Read the objects of one resource. What has been deleted since is for the watch to say."""
        translation = self._translations[key.kind]
        primary, *rest = (each for each in translation.sources if not each.fields)
        path = primary.type.path(key.namespace, key.name)
        document = await self._client.get(path, f"{key} in the namespace {key.namespace}")
        labels = f"{selector(translation.kind)},{NAME_LABEL}={key.name}"
        cache.put(_typed(document, primary.type.api_version, primary.type.kind))
        for source in rest:
            if source.optional and not self._facts.has(source.type):
                continue
            try:
                documents, _ = await list_objects(self._client, Watched(source.type, key.namespace, labels))
            except NotServed:  # of its group, the cluster has other types
                if source.optional:
                    continue
                raise
            for each in documents:
                cache.put(each)

    async def _created(self, resource: AnyResource, document: KubeObject, *, is_primary: bool) -> KubeObject:
        """Raises Exists, unless it is what an earlier attempt for the same owner made before the primary."""
        type_ = type_of(document)
        path, name = type_.path(resource.metadata.namespace), document["metadata"]["name"]
        try:
            return await self._client.post(path, _named(document), document, _BY)
        except Exists:
            if is_primary:
                raise
            there = await self._client.get(f"{path}/{name}", _named(document))
            if not _same_owner(there, document) or "deletionTimestamp" in there["metadata"]:
                raise
            return there

    async def _write(
        self,
        cache: ViewCache,
        resource: AnyResource,
        change: ObjectChange,
        known: Mapping[tuple[str, str, str], KubeObject],
    ) -> None:
        document = _in_namespace(change.document, resource.metadata.namespace)
        there = known.get(key_of(document))
        if change.verb == "delete":
            if there:
                await self._delete(there, "Background")
            return
        if change.verb == "merge" and there is None:
            raise Outdated(f"{_named(document)} is not there")
        if change.verb == "create" or there is None:
            cache.put(await self._created(resource, document, is_primary=False))
            return
        sent = {**document, "metadata": {"uid": there["metadata"]["uid"], **document["metadata"]}}
        path = type_of(document).path(resource.metadata.namespace, document["metadata"]["name"])
        path += f"/{change.subresource}" if change.subresource else ""
        query = {**_BY, "force": "true"} if change.verb == "apply" else _BY
        cache.put(await self._client.patch(path, _named(document), sent, change.verb, query))

    async def _delete(self, document: KubeObject, propagation: str) -> None:
        metadata = document["metadata"]
        path = type_of(document).path(metadata.get("namespace"), metadata["name"])
        options = {"propagationPolicy": propagation, "preconditions": {"uid": metadata["uid"]}}
        try:
            await self._client.delete(path, _named(document), options)
        except (NoSuchResource, UidMismatch):
            return


def _found(cache: ViewCache, key: Key) -> AnyResource:
    found = cache.resource((key.namespace, key.name))
    if found is None:
        raise _missing(key)
    return found


def _check_version(resource: AnyResource, there: AnyResource) -> None:
    asked, kept = resource.metadata, there.metadata
    if asked.uid and asked.uid != kept.uid:
        raise Outdated(f"{resource.key} was deleted and made again since it was read")
    if asked.resource_version and asked.resource_version != kept.resource_version:
        raise Outdated(f"{resource.key} was changed since it was read")


def _missing(key: Key) -> NoSuchResource:
    return NoSuchResource(f"there is no {key} in the namespace {key.namespace}")


def _named(document: KubeObject) -> str:
    return f"{document['kind'].lower()}/{document['metadata']['name']}"


def _typed(document: KubeObject, api_version: str, kind: str) -> KubeObject:
    return {"apiVersion": api_version, "kind": kind} | document


def _in_namespace(document: KubeObject, namespace: str) -> KubeObject:
    return {**document, "metadata": {"namespace": namespace, **document["metadata"]}}


def _labels(document: KubeObject) -> dict[str, Any]:
    return document["metadata"].get("labels") or {}


def _was_made(document: KubeObject) -> bool:
    """Whether we made it, rather than one of Kubernetes' controllers, or another program as an event."""
    return document["kind"] != PODS.kind and _labels(document).get(MANAGED_BY) == MANAGER


def _same_owner(there: KubeObject, wanted: KubeObject) -> bool:
    names = (MANAGED_BY, NAME_LABEL, OWNER_UID_LABEL)
    return all(_labels(there).get(name) == _labels(wanted).get(name) for name in names)
