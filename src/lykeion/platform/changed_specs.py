"""A change of a resource's spec that is decided from the resource as it is, and holds against other writers."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from lykeion.control import AnyResource, Key, Outdated, ResourceStore

ATTEMPTS = 10


async def change_spec(store: ResourceStore, key: Key, changed: Callable[[AnyResource], Any]) -> AnyResource:
    """Apply the spec that ``changed`` makes of a resource; it is read again if it was changed since.

    Raises what ``changed`` raises, NoSuchResource, and Outdated for a resource that changes all the time.
    """
    for _ in range(ATTEMPTS - 1):
        try:
            return await _once(store, key, changed)
        except Outdated:
            continue
    return await _once(store, key, changed)


async def _once(store: ResourceStore, key: Key, changed: Callable[[AnyResource], Any]) -> AnyResource:
    resource = await store.get(key)
    return await store.apply(replace(resource, spec=changed(resource)))
