"""Rollouts, as the commands of ``lykeion rollout`` find and change them."""

from collections.abc import Callable
from typing import Any

from lykeion import platform
from lykeion.control import Key, Outdated, ResourceStore
from lykeion.delivery import rollouts

CHANGES = 20
"""How often a change is tried."""


async def change_rollout(store: ResourceStore, key: Key, changes: Callable[["rollouts.Rollout"], Any]) -> Any:
    """Apply what ``changes`` makes of the rollout, again where its status was written meanwhile."""
    for left in reversed(range(CHANGES)):
        try:
            return await store.apply(changes(await store.get(key)))
        except Outdated:
            if not left:
                raise


def rollout_key(name: str, namespace: str) -> Key:
    """Raises ResourceError."""
    platform.check_names(name=name, namespace=namespace)
    return Key(rollouts.ROLLOUT.name, namespace, name)
