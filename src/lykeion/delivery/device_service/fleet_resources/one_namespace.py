"""The resources of one namespace of a store: a fleet's rollouts and experiments are in one."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from lykeion.control import AnyKind, AnyResource, Change, Event, Happened, Key, Listing, ResourceStore
from lykeion.core import Refused


class OtherNamespace(Refused):
    """A resource of a namespace in which nothing is carried for this fleet."""


class OneNamespace:
    """``store`` as if there were no other namespace. All methods raise OtherNamespace for one of another."""

    def __init__(self, store: ResourceStore, namespace: str) -> None:
        self._store, self._namespace = store, namespace

    async def get(self, key: Key) -> AnyResource:
        return await self._store.get(self._ours(key))

    async def listing(self, kind: AnyKind, namespace: str | None = None) -> Listing:
        self._check(namespace or self._namespace)
        return await self._store.listing(kind, self._namespace)

    async def watch(self, kind: AnyKind, since: str) -> AsyncGenerator[Change, None]:
        async with aclosing(self._store.watch(kind, since)) as changes:
            async for change in changes:
                if change.resource.metadata.namespace == self._namespace:
                    yield change

    async def create(self, resource: AnyResource) -> AnyResource:
        return await self._store.create(self._of(resource))

    async def apply(self, resource: AnyResource) -> AnyResource:
        return await self._store.apply(self._of(resource))

    async def write_status(self, resource: AnyResource) -> AnyResource:
        return await self._store.write_status(self._of(resource))

    async def delete(self, key: Key, uid: str = "") -> None:
        await self._store.delete(self._ours(key), uid)

    async def record(self, resource: AnyResource, event: Event) -> None:
        await self._store.record(self._of(resource), event)

    async def events(self, key: Key) -> tuple[Happened, ...]:
        return await self._store.events(self._ours(key))

    def _ours(self, key: Key) -> Key:
        self._check(key.namespace)
        return key

    def _of(self, resource: AnyResource) -> AnyResource:
        self._check(resource.metadata.namespace)
        return resource

    def _check(self, namespace: str) -> None:
        if namespace != self._namespace:
            raise OtherNamespace(
                f"the rollouts and experiments of this fleet are in the namespace {self._namespace}, not in "
                f"{namespace[:63]}; add -n {self._namespace}"
            )
