"""What programs have printed and measured, asked through the API."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from lykeion.control import Key, NoSuchResource, ResourceError, SqliteStore
from lykeion.platform.local.output_subresources import output_subresources
from lykeion.resource_api import SocketStore, resource_api, serving
from tests.control.lamps import KINDS, lamp


def _with_api(path: Path, use: Callable[[SocketStore], Awaitable[None]]) -> None:
    async def main() -> None:
        store = SqliteStore(path / "state.db", KINDS)
        output = output_subresources(store, lambda *_: None, lambda _: path / "metrics.jsonl")
        api = resource_api(store, KINDS, lambda: None, output)
        async with serving(api, path / "api.sock"), SocketStore(path / "api.sock", KINDS, "absent") as client:
            await asyncio.wait_for(use(client), 60)
        await store.close()

    asyncio.run(main())


def test_an_index_that_is_no_number_is_an_error_that_names_it(tmp_path: Path) -> None:
    async def use(client: SocketStore) -> None:
        await client.create(lamp())
        with pytest.raises(ResourceError, match="index is '-1'; it must be a whole number"):
            [chunk async for chunk in client.log(lamp().key, -1)]

    _with_api(tmp_path, use)


def test_metrics_are_rows_of_numbers_and_no_answer_where_there_is_no_file(tmp_path: Path) -> None:
    async def use(client: SocketStore) -> None:
        await client.create(lamp())
        key = lamp().key
        assert [row async for row in client.metrics(key)] == []
        (tmp_path / "metrics.jsonl").write_text('{"step": 1, "loss": 0.5}\nEpoch 1\n{"step": 2, "loss": NaN}\n')
        assert [row async for row in client.metrics(key)] == [{"step": 1, "loss": 0.5}, {"step": 2}]
        with pytest.raises(NoSuchResource, match="there is no lamp/"):
            [row async for row in client.metrics(Key("Lamp", "default", "other"))]

    _with_api(tmp_path, use)
