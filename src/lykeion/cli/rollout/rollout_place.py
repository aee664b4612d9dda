"""The rollouts of a fleet, as the commands of ``lykeion rollout`` reach them: through the server that has them."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from lykeion.control import Key, Outdated, ResourceStore
from lykeion.delivery import device_service, rollouts

CHANGES = 20
"""How often a change is tried."""
T = TypeVar("T")


def with_rollouts(fleet: Path, work: Callable[[ResourceStore], Awaitable[T]]) -> T:
    async def run() -> T:
        async with device_service.connect_rollouts(fleet) as store:
            return await work(store)

    return asyncio.run(run())


async def change_rollout(store: ResourceStore, name: str, changes: Callable[["rollouts.Rollout"], Any]) -> Any:
    """Apply what ``changes`` makes of the rollout, again where its status was written meanwhile."""
    for left in reversed(range(CHANGES)):
        try:
            return await store.apply(changes(await store.get(rollout_key(name))))
        except Outdated:
            if not left:
                raise


def rollout_key(name: str) -> Key:
    return Key(rollouts.ROLLOUT.name, "default", name)
