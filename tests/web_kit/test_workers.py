import asyncio
import threading

import pytest

from lykeion.core import Unavailable
from lykeion.web_kit import Workers


def test_beyond_threads_and_waiting_room_work_is_refused_at_once_and_taken_again_later():
    go_on = threading.Event()

    async def ask() -> list[object]:
        workers = Workers(threads=1, waiting=1)
        try:
            taken = [asyncio.ensure_future(workers.run(go_on.wait, 30)) for _ in range(2)]
            await asyncio.sleep(0)
            with pytest.raises(Unavailable, match="busy"):
                await workers.run(int)
            go_on.set()
            return [*await asyncio.gather(*taken), await workers.run(int, "7")]
        finally:
            workers.close()

    assert asyncio.run(ask()) == [True, True, 7]


def test_after_closing_work_is_refused():
    async def ask() -> None:
        workers = Workers(threads=1, waiting=0)
        workers.close()
        for _ in range(2):
            with pytest.raises(Unavailable, match="shutting down"):
                await workers.run(int)

    asyncio.run(ask())
