"""Resources in a cluster: the store that its controllers and the command line use."""

from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import aclosing

from lykeion.control import AnyKind, AnyResource, Change, Event, Happened, Key, Listing
from lykeion.platform.kubernetes.api import ClusterClient, WatchAges, WatchTimes
from lykeion.platform.kubernetes.objects import ClusterFacts, Translation

from .cluster_events import ClusterEvents
from .custom_resources import CustomResources
from .plain_views import PlainViews


class ClusterStore:
    """``kinds`` are by name; those with a translation are views, the others are objects of their own.

    ``namespaces`` limits listings and watches, where one may not look into all. ``instance`` is the name of this
    process in events. It does not close ``client``.
    """

    def __init__(
        self,
        client: ClusterClient,
        kinds: Mapping[str, AnyKind],
        translations: Iterable[Translation] = (),
        facts: ClusterFacts | None = None,
        *,
        namespaces: Iterable[str] = (),
        instance: str = "lykeion",
        ages: WatchAges | None = None,
        times: WatchTimes | None = None,
    ) -> None:
        ages, times, inside = ages or WatchAges(), times or WatchTimes(), tuple(namespaces) or (None,)
        by_kind = {each.kind.name: each for each in translations}
        self._custom = CustomResources(client, kinds, inside, ages, times)
        self._views = PlainViews(client, by_kind, facts or ClusterFacts(), inside, ages, times)
        self._events = ClusterEvents(client, instance)
        self._are_views = frozenset(by_kind)

    def use(self, facts: ClusterFacts) -> None:
        """For what is written from now on. What the cluster could not run is tried again."""
        self._views.use(facts)

    async def keep(self) -> None:
        """Undo what others change of replica groups and routes, until cancelled. For one process at a time."""
        await self._views.keep()

    async def close(self) -> None:
        await self._views.close()

    async def get(self, key: Key) -> AnyResource:
        return await self._part(key.kind).get(key)

    async def listing(self, kind: AnyKind, namespace: str | None = None) -> Listing:
        return await self._part(kind.name).listing(kind, namespace)

    async def watch(self, kind: AnyKind, since: str) -> AsyncGenerator[Change, None]:
        async with aclosing(self._part(kind.name).watch(kind, since)) as changes:
            async for change in changes:
                yield change

    async def create(self, resource: AnyResource) -> AnyResource:
        return await self._part(resource.kind.name).create(resource)

    async def apply(self, resource: AnyResource) -> AnyResource:
        return await self._part(resource.kind.name).apply(resource)

    async def write_status(self, resource: AnyResource) -> AnyResource:
        """The status of a view is computed: it is not written."""
        if resource.kind.name in self._are_views:
            return await self._views.get(resource.key)
        return await self._custom.write_status(resource)

    async def set_finalizer(self, resource: AnyResource, has: bool) -> AnyResource:
        """Of a kind that is no view. Raises NoSuchResource, and Outdated if it was changed since it was read."""
        return await self._custom.set_finalizer(resource, has)

    async def delete(self, key: Key, uid: str = "") -> None:
        await self._part(key.kind).delete(key, uid)

    async def record(self, resource: AnyResource, event: Event) -> None:
        await self._events.record(resource, event)

    async def events(self, key: Key) -> tuple[Happened, ...]:
        return await self._events.of(await self.get(key))

    def _part(self, kind: str) -> CustomResources | PlainViews:
        return self._views if kind in self._are_views else self._custom
