"""Operations of users on resources, in any store. Each is a change that a resource's file could make as well."""

import asyncio
from collections.abc import Mapping
from contextlib import aclosing
from typing import Any, Protocol, cast

from msgspec import structs

from lykeion.control import (
    CLUSTER,
    FINALIZER,
    AnyKind,
    AnyResource,
    Change,
    Condition,
    Key,
    Listing,
    NoSuchKind,
    NoSuchResource,
    Outdated,
    ResourceError,
    ResourceStore,
    check_change,
    condition_of,
)
from lykeion.core import Conflict, LykeionError, Refused, Unavailable, Unsupported
from lykeion.platform.policies.lifecycle import end_of, has_finished

from .changed_specs import change_spec
from .composition import KINDS
from .resource_names import check_names, find_kinds, parse_key
from .resource_table import as_applied

_ATTEMPTS = 10
"""Of a write that others may precede."""


class NotSo(Unavailable):
    """The awaited condition was not met, or can no longer be met."""


async def apply_resource(store: ResourceStore, resource: AnyResource, *, dry_run: bool = False) -> str:
    """Create or change a resource, and return the outcome: created, configured or unchanged. Raises ResourceError."""
    try:
        before = await store.get(resource.key)
    except NoSuchResource:
        before = None
    if dry_run and before:
        check_change(before, resource)
        same = (before.spec, before.metadata.labels) == (resource.spec, resource.metadata.labels)
    elif dry_run:
        same = False
    else:
        after = await store.apply(resource)
        same = before and before.metadata.resource_version == after.metadata.resource_version
    return "unchanged" if same else "configured" if before else "created"


async def changes_of(store: ResourceStore, resource: AnyResource) -> tuple[str, str]:
    """Labels, annotations and spec as YAML: as they are, empty if there are none, and as they would be applied."""
    try:
        present = await store.get(resource.key)
    except NoSuchResource:
        return "", as_applied(resource)
    return as_applied(present), as_applied(resource, present)


async def find(
    store: ResourceStore, what: str, namespace: str | None, kinds: Mapping[str, AnyKind] = KINDS
) -> tuple[list[AnyResource], list[str]]:
    """Resources of kinds, or a single one, named as for ``get``; and what is wrong with those that cannot be read.

    ``all`` are the platform's own, and those of others that the store has. Raises ResourceError, NoSuchResource.
    """
    if "/" in what:
        return [await store.get(parse_key(what, kinds, namespace or "default"))], []
    check_names(namespace=namespace or CLUSTER)
    wanted = find_kinds(what, kinds)
    may_lack = frozenset(kinds).difference(KINDS) if what.lower() == "all" else frozenset[str]()
    listings = [await _listing(store, each, namespace, may_lack=each.name in may_lack) for each in wanted]
    unreadable = [problem for listing in listings for problem in listing.unreadable.values()]
    return [each for listing in listings for each in listing.items], unreadable


async def _listing(store: ResourceStore, kind: AnyKind, namespace: str | None, *, may_lack: bool) -> Listing:
    """Raises NoSuchKind, unless the store may lack it: then there are none.

    To who may not look at all in a cluster, a kind that is not there is one that may not be looked at.
    """
    try:
        return await store.listing(kind, namespace if kind.namespaced else None)
    except (NoSuchKind, Refused):
        if not may_lack:
            raise
        return Listing((), "")


async def suspend(store: ResourceStore, key: Key, value: bool) -> AnyResource:
    """Set ``spec.suspend``. Raises Unsupported if the kind has none, Conflict if the resource has finished."""

    def suspended(resource: AnyResource) -> Any:
        if not hasattr(resource.spec, "suspend"):
            raise Unsupported(f"{key}: a {key.kind} cannot be suspended")
        if has_finished(resource.status.conditions):
            raise Conflict(f"{key} has finished")
        return structs.replace(resource.spec, suspend=value)

    return await change_spec(store, key, suspended)


class HoldingStore(ResourceStore, Protocol):
    """A store in which a finalizer holds a resource that was deleted."""

    async def set_finalizer(self, resource: AnyResource, has: bool) -> AnyResource: ...


async def force_release(store: ResourceStore, key: Key) -> tuple[str, ...]:
    """Delete a resource without waiting for what runs for it in other clusters. Returns what may be left there.

    Raises NoSuchResource.
    """
    resource = await store.get(key)
    if not resource.is_ending:
        await store.delete(key, resource.metadata.uid)
    for _ in range(_ATTEMPTS):
        try:
            resource = await store.get(key)
            if not resource.is_ending or FINALIZER not in resource.metadata.finalizers:
                break
            await cast(HoldingStore, store).set_finalizer(resource, False)
            break
        except Outdated:
            continue
        except NoSuchResource:
            break
    return _in_other_clusters(resource)


async def holders_of(store: ResourceStore, key: Key) -> tuple[str, ...]:
    """What a resource that was deleted is still there for; nothing if it has gone, or one of the name is new."""
    try:
        resource = await store.get(key)
    except LykeionError:  # it was deleted: who may not look, or cannot now, is told no more
        return ()
    if not resource.is_ending:
        return ()
    ours = FINALIZER in resource.metadata.finalizers
    others = tuple(f"the finalizer {each}" for each in resource.metadata.finalizers if each != FINALIZER)
    return (*((_in_other_clusters(resource) or (f"the finalizer {FINALIZER}",)) if ours else ()), *others)


def _in_other_clusters(resource: AnyResource) -> tuple[str, ...]:
    steps = getattr(resource.status, "steps", ())
    return tuple(f"pipelinerun/{each.remote_run} in the cluster {each.cluster}" for each in steps if each.cluster)


async def wait_for(
    store: ResourceStore,
    key: Key,
    wanted: str,
    timeout_s: float | None = None,
    kinds: Mapping[str, AnyKind] = KINDS,
) -> AnyResource | None:
    """Return when ``wanted`` holds: ``condition=TYPE``, ``condition=TYPE=STATUS`` or ``delete``.

    None if it was deleted. Raises NotSo after ``timeout_s``, and as soon as the resource has finished otherwise.
    """
    name, _, rest = wanted.partition("=")
    type_, _, status = rest.partition("=")
    if not (name == "condition" and type_) and wanted != "delete":
        raise ResourceError(f"{wanted!r} cannot be waited for; write condition=TYPE, condition=TYPE=STATUS or delete")
    try:
        async with asyncio.timeout(timeout_s):
            return await _follow(store, key, type_, status or "True", kinds)
    except TimeoutError:
        raise NotSo(f"{key}: {wanted} did not come within {timeout_s:g} s") from None


async def _follow(
    store: ResourceStore, key: Key, type_: str, status: str, kinds: Mapping[str, AnyKind]
) -> AnyResource | None:
    """Wait until a condition has the status, or without a type until the resource is deleted."""
    kind = kinds[key.kind]
    listing = await store.listing(kind, key.namespace)
    present = next((each for each in listing.items if each.key == key), None)
    if present is None:
        if type_:
            raise NoSuchResource(f"there is no {key} in the namespace {key.namespace}")
        return None
    change = Change("MODIFIED", present)
    async with aclosing(store.watch(kind, listing.version)) as changes:
        while True:
            if change.resource.key == key and (change.type == "DELETED" or _holds(change.resource, type_, status)):
                return None if change.type == "DELETED" else change.resource
            change = await anext(changes)


def _holds(resource: AnyResource, type_: str, status: str) -> bool:
    if not type_:
        return False
    conditions = resource.status.conditions
    found, end, stalled = condition_of(conditions, type_), end_of(conditions), condition_of(conditions, "Stalled")
    if found is not None and found.status.lower() == status.lower():
        return end is not None or not _is_old(resource, found)
    if stalled and stalled.status == "True" and not _is_old(resource, stalled):
        raise NotSo(f"{resource.key} is stalled: {stalled.reason}: {stalled.message}")
    if end:
        raise NotSo(f"{resource.key} has ended: {end.type}, {end.reason}: {end.message}")
    return False


def _is_old(resource: AnyResource, condition: Condition) -> bool:
    """Whether the condition tells of an earlier spec."""
    return 0 < condition.observed_generation < resource.metadata.generation
