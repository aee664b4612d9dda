"""Queries of devices that are no queries: each is answered by an error, and costs nothing."""

import asyncio
from contextlib import closing
from typing import Any

import pytest

from lykeion.delivery.gateway.device_queries import MAX_VECTOR_BYTES, DeviceQueries
from lykeion.device.conversation import AnswerFrame, QueryFrame
from lykeion.web_kit import Workers


class NeverSearched:
    def call(self, *_: Any) -> None:
        raise AssertionError("nothing is searched")


class Asker:
    is_open = True

    def __init__(self) -> None:
        self.answers: list[AnswerFrame] = []

    def answer(self, frame: AnswerFrame) -> bool:
        self.answers.append(frame)
        return True


@pytest.mark.parametrize(
    "body",
    [
        {"photo": 1 << 50},
        {"photo": [1] * 9},
        {"photo": b"", "k": float("inf")},
        {"photo": b"", "k": float("nan")},
        {"vector": bytes(MAX_VECTOR_BYTES + 4), "space": "a"},
        {"vector": b"123", "space": "a"},
        {"vector": b"1234"},
        {"k": "9" * 9_999, "photo": b""},
        [],
        None,
    ],
)
def test_what_is_no_query_is_answered_so_and_takes_no_memory(body: Any) -> None:
    async def run() -> Asker:
        with closing(Workers(1, 1)) as workers:
            queries, asker = DeviceQueries(NeverSearched(), workers), Asker()  # type: ignore[arg-type]
            queries.ask(asker, QueryFrame(7, body))
            while not asker.answers:
                await asyncio.sleep(0)
        return asker

    (answer,) = asyncio.run(asyncio.wait_for(run(), 60)).answers
    assert answer == AnswerFrame(7, 0, True, {"error": "not a query"})
