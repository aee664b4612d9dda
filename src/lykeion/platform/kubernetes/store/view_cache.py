"""The resources of one plain kind, kept up to date by watching the objects from which they are computed."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

from lykeion.control import AnyResource, Change, Gone, Listing
from lykeion.core import Refused, Unavailable
from lykeion.platform.kubernetes.api import (
    ClusterClient,
    ListedVersions,
    NotServed,
    WatchAges,
    Watched,
    WatchTimes,
    list_objects,
    watch_objects,
)
from lykeion.platform.kubernetes.objects import KubeObject, ObjectSource, Translation, selector

from .view_state import ViewName, ViewState

KEPT_CHANGES = 4096

_log = logging.getLogger("lykeion.kubernetes")


class ViewCache:
    """``start`` it, then close it. Versions of its listings are numbers of its own changes."""

    def __init__(
        self,
        client: ClusterClient,
        translation: Translation,
        namespaces: Sequence[str | None],
        ages: WatchAges,
        times: WatchTimes,
    ) -> None:
        self._client, self._translation, self._namespaces = client, translation, namespaces
        self._ages, self._times = ages, times
        self._state = ViewState(translation)
        self._changes: deque[Change] = deque(maxlen=KEPT_CHANGES)
        self._number = 0
        self._changed = asyncio.Event()
        self.changed: Callable[[ViewName], object] = lambda view: None
        """Called with each resource of which an object has changed, even if the resource has not."""
        self._versions = ListedVersions()
        self._started: set[Watched] = set()
        self._unserved: set[Watched] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._starting = asyncio.Lock()

    async def start(self) -> None:
        """Returns when all objects have been listed. Raises what the client raises: then call it again.

        Types are listed together, but events after the pods that they are about: few are kept of unknown ones.
        """
        async with self._starting:
            for of_events in (False, True):
                sources = [each for each in self._translation.sources if bool(each.fields) == of_events]
                due = [(watched, each) for each in sources for watched in self._watched(each)]
                known = self._started | self._unserved
                begun = (self._begin(watched, each) for watched, each in due if watched not in known)
                for ended in await asyncio.gather(*begun, return_exceptions=True):
                    if ended:
                        raise ended

    async def _begin(self, watched: Watched, source: ObjectSource) -> None:
        version = await self._listed(watched, source, optional=source.optional)
        (self._started if version else self._unserved).add(watched)
        if version:
            self._tasks.append(asyncio.create_task(self._follow(watched, source, version)))

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def reconsider(self) -> None:
        """The cluster has changed: what it did not have or could not run it perhaps has and can. Then ``start``."""
        self._unserved.clear()
        self._note(self._state.again())
        for view in self._state.resources:
            self.changed(view)

    def listing(self, namespace: str | None) -> Listing:
        found = [each for (inside, _), each in self._state.resources.items() if namespace in (None, inside)]
        return Listing(tuple(sorted(found, key=lambda each: each.key)), str(self._number))

    async def changes(self, since: str) -> AsyncGenerator[Change, None]:
        """Raises Gone, and the error that ended the cache."""
        number = int(since)
        while True:
            changed = self._changed
            oldest = self._number - len(self._changes)
            if not oldest <= number <= self._number:
                raise Gone(f"the changes after {number} are no longer kept; list again")
            for change in list(self._changes)[number - oldest :]:
                number += 1
                yield change
            if number == self._number:
                await changed.wait()
                self._check()

    def resource(self, view: ViewName) -> AnyResource | None:
        return self._state.resources.get(view)

    def objects(self, view: ViewName) -> tuple[KubeObject | None, list[KubeObject]]:
        return self._state.objects(view)

    def expect(self, view: ViewName) -> None:
        """Report the next change of its objects even if the resource stays as it is."""
        self._state.unsettled.add(view)

    def put(self, document: KubeObject) -> None:
        """An object that was read or written."""
        self._note(self._state.put(document))

    def _tell(self, document: KubeObject) -> None:
        if view := self._state.view_of(document):
            self.changed(view)

    def _note(self, changes: Sequence[Change]) -> None:
        if changes:
            self._changes.extend(changes)
            self._number += len(changes)
            self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _check(self) -> None:
        for task in self._tasks:
            if task.done() and not task.cancelled():
                task.result()

    def _watched(self, source: ObjectSource) -> list[Watched]:
        labels = "" if source.fields else selector(self._translation.kind)
        return [Watched(source.type, each, labels, source.fields) for each in self._namespaces]

    async def _listed(self, watched: Watched, source: ObjectSource, *, optional: bool) -> str:
        """The version of the listing, or none if the cluster does not have the type and that is allowed."""
        try:
            documents, version = await list_objects(self._client, watched)
        except NotServed:
            if optional:
                return ""
            raise
        self._versions.check(watched, version)
        self._note(self._state.replace(source, documents, int(version), watched.namespace))
        for view in self._state.resources:
            self.changed(view)
        return version

    async def _follow(self, watched: Watched, source: ObjectSource, version: str) -> None:
        forgotten = 0
        try:
            while True:
                try:
                    async with aclosing(
                        watch_objects(self._client, watched, version, self._ages, self._times)
                    ) as events:
                        async for event in events:
                            forgotten = 0
                            change = self._state.remove if event.type == "DELETED" else self._state.put
                            self._note(change(event.object))
                            self._tell(event.object)
                except Gone:
                    await asyncio.sleep(self._times.back_off_s(forgotten) if forgotten else 0)
                    forgotten += 1
                    version = await self._listed_again(watched, source)
        except Exception:
            _log.exception("%s: the watch failed", watched)
            raise
        finally:
            self._wake()

    async def _listed_again(self, watched: Watched, source: ObjectSource) -> str:
        failures = 0
        while True:
            try:
                return await self._listed(watched, source, optional=False)
            except (Unavailable, Refused, Gone) as error:
                failures += 1
                _log.warning("%s; listing again", error)
                await asyncio.sleep(self._times.back_off_s(failures))
