"""Verbs hold against others who write the resource at the same time."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from lykeion.control import AnyResource, Outdated, SqliteStore
from lykeion.core import Conflict
from lykeion.platform import KINDS, suspend
from lykeion.platform.changed_specs import change_spec
from lykeion.platform.resources.programs.program import Program
from lykeion.platform.resources.runs.training import TRAINING, TrainingSpec


def _between(store: SqliteStore, times: int, seen: list[str]) -> Any:
    """A store in which the controller writes a status after each of the first readings."""
    get = store.get

    async def reading(key: Any) -> AnyResource:
        found = await get(key)
        seen.append(found.metadata.resource_version)
        if len(seen) <= times:
            attempts = found.status.attempts + 1
            await store.write_status(found.with_status(structs.replace(found.status, attempts=attempts)))
        return found

    store.get = reading  # type: ignore[method-assign]
    return store


@pytest.mark.parametrize("times", [0, 1, 3])
def test_a_resource_is_read_again_until_nobody_has_changed_it_meanwhile(tmp_path: Path, times: int) -> None:
    async def use() -> None:
        store = SqliteStore(tmp_path / "state.db", KINDS)
        made = await store.create(TRAINING.new("shoes", TrainingSpec(program=Program(command=("fit",)))))
        seen: list[str] = []
        after = await suspend(_between(store, times, seen), made.key, True)
        assert (after.spec.suspend, after.status.attempts, len(set(seen))) == (True, times, times + 1)
        await store.close()

    asyncio.run(use())


def test_one_that_changes_all_the_time_is_given_up(tmp_path: Path) -> None:
    async def use() -> None:
        store = SqliteStore(tmp_path / "state.db", KINDS)
        made = await store.create(TRAINING.new("shoes", TrainingSpec(program=Program(command=("fit",)))))
        with pytest.raises(Outdated):
            await suspend(_between(store, 1000, []), made.key, True)
        await store.close()

    asyncio.run(use())


def test_what_the_change_refuses_is_not_tried_again(tmp_path: Path) -> None:
    async def use() -> None:
        store = SqliteStore(tmp_path / "state.db", KINDS)
        made = await store.create(TRAINING.new("shoes", TrainingSpec(program=Program(command=("fit",)))))
        calls: list[AnyResource] = []

        def refuse(resource: AnyResource) -> Any:
            calls.append(resource)
            raise Conflict("no")

        with pytest.raises(Conflict, match="no"):
            await change_spec(store, made.key, refuse)
        assert len(calls) == 1
        await store.close()

    asyncio.run(use())
