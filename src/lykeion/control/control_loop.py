"""The loop that moves resources towards their specs: watch, queue, reconcile, write. The only file with a clock."""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal, Protocol, TypeAlias

from lykeion.core import Conflict, LykeionError, NotFound, Unavailable, Unsupported

from .difference import difference
from .following import follow
from .key_queue import KeyQueue
from .reconcile import Decision, Event, Lookup, Observed, Reconcile, ResourceController
from .resource import FINALIZER, AnyKind, AnyResource, Key
from .resource_store import Change, Exists, Listing, ResourceStore
from .step_places import StepPlaces

WORKERS = 4

Outcome: TypeAlias = Literal["done", "conflict", "unavailable", "failed"]
Observer: TypeAlias = Callable[[str, Outcome, float], object]
"""Told of each step: the kind, how it ended, and how many seconds it took."""
Answers: TypeAlias = Mapping[type[Lookup], Callable[[Any], Awaitable[Any]]]
"""The function that answers each type of lookup; it raises a LykeionError if it cannot."""
SetFinalizer: TypeAlias = Callable[[AnyResource, bool], Awaitable[AnyResource]]
"""Give a resource our finalizer, or take it away. Raises what the store's writes raise."""

_log = logging.getLogger("lykeion.control")


class Audience(Protocol):
    """Is told of all resources of the controllers' kinds as the loop is, so that they are watched once."""

    def listed(self, kind: AnyKind, listing: Listing) -> None: ...

    def changed(self, change: Change) -> None: ...


class ControlLoop:
    """Runs ``controllers`` on ``store`` until cancelled.

    ``answers`` serves their lookups; ``now`` is the clock that is passed to reconcilers; ``observer`` counts.
    What happens within ``rest_s`` after a step that wrote something is taken together in the next step. ``workers``
    steps are at work at once, not counting those that wait for the answer to a lookup; ``in_turn``, each ends before
    another begins. Without ``set_finalizer``, a decision that asks for one fails. ``audience`` hears of the
    resources, not of their children.
    """

    def __init__(
        self,
        store: ResourceStore,
        controllers: Sequence[ResourceController],
        answers: Answers | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC).replace(microsecond=0),
        observer: Observer = lambda kind, outcome, seconds: None,
        rest_s: float = 0.0,
        workers: int = WORKERS,
        set_finalizer: SetFinalizer | None = None,
        audience: Audience | None = None,
        in_turn: bool = False,
    ) -> None:
        self._store, self._answers, self._now, self._observer = store, answers or {}, now, observer
        self._rest_s, self._set_finalizer, self._audience = rest_s, set_finalizer, audience
        self._places = StepPlaces(1 if in_turn else workers, are_left=not in_turn)
        self._controllers = {each.kind.name: each for each in controllers}
        self._kinds = {kind.name: kind for each in controllers for kind in (each.kind, *each.children)}
        self._seen: dict[Key, AnyResource] = {}
        self._children: defaultdict[str, dict[Key, AnyResource]] = defaultdict(dict)
        self._listed = {name: asyncio.Event() for name in self._kinds}
        self._queue: KeyQueue[Key] = KeyQueue()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for kind in self._kinds.values():
                tasks.create_task(follow(self._store, kind, partial(self._was_listed, kind), self._has_changed))
            tasks.create_task(self._work(tasks))

    @property
    def waiting(self) -> int:
        """The number of keys that wait for a worker."""
        return len(self._queue)

    @property
    def has_listed(self) -> bool:
        """Whether all objects have been read once, without which nothing is reconciled."""
        return all(listed.is_set() for listed in self._listed.values())

    def _was_listed(self, kind: AnyKind, listing: Listing) -> None:
        self._replace(kind, listing)
        if self._audience and kind.name in self._controllers:
            self._audience.listed(kind, listing)

    def _has_changed(self, change: Change) -> None:
        self._notice(change)
        if self._audience and change.resource.kind.name in self._controllers:
            self._audience.changed(change)

    def _replace(self, kind: AnyKind, listing: Listing) -> None:
        keys = {each.key for each in listing.items}
        for each in [each for key, each in self._seen.items() if key.kind == kind.name and key not in keys]:
            self._notice(Change("DELETED", each))
        for each in listing.items:
            self._notice(Change("MODIFIED", each))
        self._listed[kind.name].set()

    def _notice(self, change: Change) -> None:
        resource = change.resource
        if change.type == "DELETED":
            kept = self._seen.get(resource.key)
            if kept is not None and kept.metadata.uid == resource.metadata.uid:
                del self._seen[resource.key]
                self._forget_child(kept)
        else:
            self._remember(resource)
        if resource.kind.name in self._controllers:
            self._queue.add(resource.key)
        if owner := resource.owner:
            self._queue.add(Key(owner.kind, resource.metadata.namespace, owner.name))

    def _remember(self, resource: AnyResource) -> None:
        """The response to a write may be newer than the watch's last event."""
        kept = self._seen.get(resource.key)
        if kept is None or int(kept.metadata.resource_version) < int(resource.metadata.resource_version):
            if kept is not None and kept.owner != resource.owner:
                self._forget_child(kept)
            self._seen[resource.key] = resource
            if resource.owner:
                self._children[resource.owner.uid][resource.key] = resource

    def _forget_child(self, resource: AnyResource) -> None:
        if owner := resource.owner:
            self._children[owner.uid].pop(resource.key, None)
            if not self._children[owner.uid]:
                del self._children[owner.uid]

    async def _work(self, tasks: asyncio.TaskGroup) -> None:
        await asyncio.gather(*(listed.wait() for listed in self._listed.values()))
        while True:
            key = await self._queue.get()
            await self._places.take()
            tasks.create_task(self._placed(key))

    async def _placed(self, key: Key) -> None:
        begun = time.monotonic()
        try:
            outcome = await self._step(key)
        finally:
            self._places.give_back()
        self._observer(key.kind, outcome, time.monotonic() - begun)

    async def _step(self, key: Key) -> Outcome:
        try:
            again_s, wrote = await self._reconcile(key)
        except Exists as error:  # another's, under the name of a child
            _log.warning("%s: %s; trying again", key, error)
            await self._say(key, error)
            outcome = "conflict"
        except (Conflict, NotFound) as error:  # changed by another writer; the watch will report the change
            _log.debug("%s: %s", key, error)
            outcome = "conflict"
        except Unavailable as error:
            _log.warning("%s: %s; trying again", key, error)
            outcome = "unavailable"
        except LykeionError as error:
            _log.warning("%s: %s; trying again", key, error)
            await self._say(key, error)
            outcome = "failed"
        except Exception:
            _log.exception("%s: the controller failed; trying again", key)
            outcome = "failed"
        else:
            if again_s is not None:
                self._queue.add_after(key, again_s)
            self._queue.done(key, self._rest_s if wrote and again_s != 0 else 0.0)
            return "done"
        self._queue.failed(key)
        return outcome

    async def _say(self, key: Key, error: LykeionError) -> None:
        """Record what the store refuses, such as a child beyond a quota, where its owner sees it."""
        if resource := self._seen.get(key):
            with suppress(LykeionError):
                await self._store.record(resource, Event("Warning", type(error).__name__, str(error)))

    async def _reconcile(self, key: Key) -> tuple[float | None, bool]:
        """One step. Returns the seconds until the next is due, if it is, and whether something was written.

        Raises what the store raises.
        """
        resource, controller = self._seen.get(key), self._controllers.get(key.kind)
        if resource is None or controller is None:
            return None, False
        children = tuple(self._children.get(resource.metadata.uid, {}).values())
        decide = controller.release if resource.is_ending else controller.reconcile
        if decide is None:
            return None, False
        decision = await self._decide(decide, resource, children)
        if decision.delete:
            await self._store.delete(key, resource.metadata.uid)
            return None, False
        if decision.finalizer:  # before there is anything that it is to remove
            resource, wrote = await self._with_finalizer(resource, True)
        else:
            wrote = False
        wrote = await self._write_children(decision, children) or wrote
        if decision.status != resource.status:
            wrote = True
            self._remember(await self._store.write_status(resource.with_status(decision.status)))
            for event in decision.events:
                await self._store.record(resource, event)
        if decision.finalizer is False:
            resource, removed = await self._with_finalizer(self._seen.get(key, resource), False)
            wrote = wrote or removed
        return decision.requeue_after_s, wrote

    async def _with_finalizer(self, resource: AnyResource, has: bool) -> tuple[AnyResource, bool]:
        """The resource with our finalizer or without, and whether that was written."""
        if (FINALIZER in resource.metadata.finalizers) == has:
            return resource, False
        if self._set_finalizer is None:
            raise Unsupported(f"{resource.key}: this store has no finalizers")
        written = await self._set_finalizer(resource, has)
        if has:  # one that was released may be gone
            self._remember(written)
        return written, True

    async def _decide(self, decide: Reconcile, resource: AnyResource, children: tuple[AnyResource, ...]) -> Decision:
        read: dict[Key | Lookup, Any] = {}
        while True:
            decision = decide(resource, Observed(children, read), self._now())
            missing = [each for each in decision.reads if each not in read]
            if not missing:
                return decision
            read |= {each: await self._read(each) for each in missing}

    async def _read(self, what: Key | Lookup) -> Any:
        if isinstance(what, Key):
            try:
                return await self._store.get(what)
            except NotFound:
                return None
        try:
            async with self._places.left_to_ask(what.source):
                return await self._answers[type(what)](what)
        except LykeionError as error:
            return error

    async def _write_children(self, decision: Decision, children: tuple[AnyResource, ...]) -> bool:
        """Whether there was anything to write."""
        if decision.children is None:
            return False
        needed = difference(decision.children, children)
        for each in needed.delete:
            await self._store.delete(each.key, each.metadata.uid)
        for each in needed.apply:
            self._remember(await self._store.apply(each))
        for each in needed.create:
            try:
                self._remember(await self._store.create(each))
            except Exists as taken:
                self._remember(await self._adopted(each, taken))
        return bool(needed.delete or needed.apply or needed.create)

    async def _adopted(self, child: AnyResource, taken: Exists) -> AnyResource:
        """The existing child if the owner is the same: an earlier process created it. Else raises Exists.

        There may be none: a part of what it would consist of has the name of another's object.
        """
        try:
            there = await self._store.get(child.key)
        except NotFound:
            raise taken from None
        if child.owner is None or not _owned(there, child.owner.uid):
            raise Exists(f"{child.key} belongs to another; waiting until it is deleted")
        return there


def _owned(child: AnyResource, owner_uid: str) -> bool:
    return child.owner is not None and child.owner.uid == owner_uid
