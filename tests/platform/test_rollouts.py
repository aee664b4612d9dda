"""What users do with a Serving: promote, abort, wait."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec import structs

from lykeion.control import Condition, Key, SqliteStore
from lykeion.core import Conflict, Unsupported
from lykeion.platform import KINDS, decide_rollout, wait_for
from lykeion.platform.resources.servings.rollout import RolloutStatus, ServingVersion
from lykeion.platform.resources.servings.serving import SERVING, ServingSpec, ServingStatus
from lykeion.platform.verbs import NotSo

from .batches import batch
from .servings import NOON, server
from .servings import serving as new_serving

SHOP = Key("Serving", "default", "shop")
ROLLING = ServingStatus(rollout=RolloutStatus(number=1, version=ServingVersion(hash="a"), since=NOON))


def _in_store(path: Path, use: Callable[[SqliteStore], Awaitable[None]]) -> None:
    async def main() -> None:
        store = SqliteStore(path / "state.db", KINDS)
        await store.create(SERVING.new("shop", ServingSpec(program=server())))
        await asyncio.wait_for(use(store), 60)
        await store.close()

    asyncio.run(main())


async def _report(store: SqliteStore, status: ServingStatus) -> None:
    await store.write_status((await store.get(SHOP)).with_status(status))


def test_promote_and_abort_set_a_new_value_each_time(tmp_path: Path) -> None:
    async def use(store: SqliteStore) -> None:
        await _report(store, ROLLING)
        first = (await decide_rollout(store, SHOP, "promote")).spec.promote
        await asyncio.sleep(0.002)
        assert (await decide_rollout(store, SHOP, "promote")).spec.promote != first
        assert (await decide_rollout(store, SHOP, "abort")).spec.abort

    _in_store(tmp_path, use)


def test_without_a_rollout_there_is_nothing_to_decide_but_a_version_that_was_rolled_back(tmp_path: Path) -> None:
    async def use(store: SqliteStore) -> None:
        for verb in ("promote", "abort"):
            with pytest.raises(Conflict, match=f"serving/shop has no rollout to {verb}"):
                await decide_rollout(store, SHOP, verb)
        await _report(store, ServingStatus(rejected="a"))
        await decide_rollout(store, SHOP, "promote")
        with pytest.raises(Conflict, match="no rollout to abort"):
            await decide_rollout(store, SHOP, "abort")
        await store.create(batch())
        with pytest.raises(Unsupported, match="only a serving has rollouts"):
            await decide_rollout(store, Key("BatchExecution", "default", "embed"), "abort")

    _in_store(tmp_path, use)


def test_waiting_for_what_was_rolled_back_ends_with_the_reason(tmp_path: Path) -> None:
    async def use(store: SqliteStore) -> None:
        stalled = Condition(type="Stalled", status="True", reason="RolledBack", message="Crashed: no memory")
        await _report(store, ServingStatus(conditions=(structs.replace(stalled, observed_generation=1),)))
        with pytest.raises(NotSo, match="serving/shop is stalled: RolledBack: Crashed: no memory"):
            await wait_for(store, SHOP, "condition=Ready")

    _in_store(tmp_path, use)


def test_waiting_ends_only_when_the_condition_tells_of_the_present_spec(tmp_path: Path) -> None:
    async def use(store: SqliteStore) -> None:
        ready = Condition(type="Ready", status="True", observed_generation=1)
        await _report(store, ServingStatus(conditions=(ready,)))
        changed = new_serving(program=server("two"))
        await store.apply(replace(changed, metadata=structs.replace(changed.metadata, uid="")))
        waiting = asyncio.create_task(wait_for(store, SHOP, "condition=Ready"))
        await asyncio.sleep(0)
        await _report(store, ServingStatus(conditions=(structs.replace(ready, observed_generation=2),)))
        found = await waiting
        assert found
        assert found.status.conditions[0].observed_generation == 2

    _in_store(tmp_path, use)
