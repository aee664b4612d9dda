"""The thread that stores what connections bring: a fault of one change is a fault of nobody else's."""

import asyncio
from contextlib import closing
from pathlib import Path
from typing import NoReturn

import pytest

from lykeion.delivery.device_service import FleetTransaction, open_fleet
from lykeion.delivery.gateway.session_writer import NotStored, SessionWriter


def record(now: FleetTransaction, what: str) -> str:
    now.record(1.0, "test", what)
    return what


def fault(now: FleetTransaction) -> NoReturn:
    now.record(1.0, "test", "half of it")
    raise ValueError("a fault of the program")


def test_a_change_that_fails_takes_nobody_with_it_and_the_thread_goes_on(tmp_path: Path) -> None:
    async def run() -> None:
        writer = SessionWriter(store)
        try:
            with store.transaction():  # the writer waits, so that the three are in one transaction
                asked = [
                    asyncio.ensure_future(writer.run(change))
                    for change in (lambda now: record(now, "before"), fault, lambda now: record(now, "after"))
                ]
                await asyncio.sleep(0)
            assert await asked[0] == "before"
            with pytest.raises(NotStored):
                await asked[1]
            assert await asked[2] == "after"
            assert await writer.run(lambda now: record(now, "later")) == "later"
        finally:
            writer.close()

    with closing(open_fleet(tmp_path)) as store:
        asyncio.run(run())
        assert [row["what"] for row in store.rows("SELECT what FROM audit ORDER BY rowid")] == [
            "before", "after", "later",
        ]  # fmt: skip


def test_a_connection_that_fails_to_hear_its_result_does_not_keep_others_from_theirs(tmp_path: Path) -> None:
    def fails(_: object) -> NoReturn:
        raise ValueError("a fault of the program")

    async def run() -> None:
        writer = SessionWriter(store)
        try:
            with store.transaction():
                writer.put(lambda now: record(now, "first"), fails)
                heard = asyncio.ensure_future(writer.run(lambda now: record(now, "second")))
                await asyncio.sleep(0)
            assert await asyncio.wait_for(heard, 60) == "second"
        finally:
            writer.close()

    with closing(open_fleet(tmp_path)) as store:
        asyncio.run(run())
