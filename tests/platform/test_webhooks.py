"""Webhooks are told once of each end, in order, signed, and again until they answer."""

import asyncio
import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from lykeion.control import Change, Condition, Listing, SqliteStore, condition_of, follow, is_true, merged
from lykeion.platform import KINDS
from lykeion.platform.local.webhook_sender import LIMIT_UNASKED, WebhookSender
from lykeion.platform.policies.lifecycle.notices import InvalidSecret, notice_of, signed_headers
from lykeion.platform.resources.programs.program import KeyOf
from lykeion.platform.resources.runs.batch_execution import BATCH_EXECUTION
from lykeion.platform.resources.settings.configuration import SECRET, SecretSpec
from lykeion.platform.resources.settings.webhook import WEBHOOK, WebhookSpec

from .batches import batch

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


class Receiver(ThreadingHTTPServer):
    """Keeps what it is told; answers with the codes in ``answers``, then with 204."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.told: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[int] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/hook"


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.told.append((dict(self.headers), body))
        self.send_response(self.server.answers.pop(0) if self.server.answers else 204)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


async def _until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while not await holds():
            await asyncio.sleep(0.01)


async def _finish(store: SqliteStore, name: str, type_: str = "Complete") -> None:
    made = batch(1)
    made = await store.create(BATCH_EXECUTION.new(name, made.spec))
    end = Condition(type=type_, status="True", reason="Ended", message="as it should")
    await store.write_status(made.with_status(structs.replace(made.status, conditions=merged((), NOON, end))))


async def _hook(store: SqliteStore, receiver: Receiver, **spec: Any) -> None:
    await store.apply(SECRET.new("hook", SecretSpec(string_data={"key": "whsec_c2VjcmV0"})))
    hook = WebhookSpec(url=receiver.url, secret=KeyOf(name="hook", key="key"), **spec)
    await store.apply(WEBHOOK.new("team", hook))

    async def begun() -> bool:
        return bool((await store.listing(WEBHOOK)).items[0].status.cursor)

    await _until(begun)


def _run(path: Path, use: Callable[[SqliteStore], Awaitable[None]]) -> None:
    async def main() -> None:
        store = SqliteStore(path / "state.db", KINDS)
        sender = WebhookSender(store, [BATCH_EXECUTION], lambda: NOON)
        told = follow(store, BATCH_EXECUTION, partial(sender.listed, BATCH_EXECUTION), sender.changed)
        tasks = [asyncio.ensure_future(each) for each in (sender.run(), told)]
        try:
            await asyncio.wait_for(use(store), 60)
        finally:
            for each in tasks:
                each.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await store.close()

    asyncio.run(main())


def test_each_end_is_told_once_signed_and_in_order(tmp_path: Path, receiver: Receiver) -> None:
    async def use(store: SqliteStore) -> None:
        await _finish(store, "before")
        await _hook(store, receiver)
        for name, type_ in (("a", "Complete"), ("b", "Failed"), ("c", "Complete")):
            await _finish(store, name, type_)

        async def told() -> bool:
            return (await store.listing(WEBHOOK)).items[0].status.delivered_count == 3

        await _until(told)

    _run(tmp_path, use)
    bodies = [json.loads(body) for _, body in receiver.told]
    assert [(each["name"], each["type"]) for each in bodies] == [
        ("a", "batchexecution.complete"),
        ("b", "batchexecution.failed"),
        ("c", "batchexecution.complete"),
    ]
    headers, body = receiver.told[0]
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.digest(b"secret", signed, hashlib.sha256)).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"


def test_a_receiver_that_fails_is_told_again_and_the_webhook_says_so(tmp_path: Path, receiver: Receiver) -> None:
    receiver.answers = [500, 302]

    async def use(store: SqliteStore) -> None:
        await _hook(store, receiver, outcomes=("Failed",))
        await _finish(store, "unwanted")
        await _finish(store, "wanted", "Failed")

        async def refused() -> bool:
            found = condition_of((await store.listing(WEBHOOK)).items[0].status.conditions, "Ready")
            return found is not None and "status 500" in found.message

        async def ready() -> bool:
            return is_true((await store.listing(WEBHOOK)).items[0].status.conditions, "Ready")

        await _until(refused)
        await _until(ready)

    _run(tmp_path, use)
    assert [json.loads(body)["name"] for _, body in receiver.told] == ["wanted"] * 3
    assert len({headers["webhook-id"] for headers, _ in receiver.told}) == 1


@pytest.mark.parametrize("url", ["http://127.0.0.1:99999", "http://xn--/", "http://xn--a.example"])
def test_an_address_that_cannot_be_one_ends_nothing_for_others(tmp_path: Path, receiver: Receiver, url: str) -> None:
    async def use(store: SqliteStore) -> None:
        await _hook(store, receiver)
        await store.apply(WEBHOOK.new("odd", WebhookSpec(url=url, secret=KeyOf(name="hook", key="key"))))

        async def begun() -> bool:
            return all(each.status.cursor for each in (await store.listing(WEBHOOK)).items)

        async def both() -> bool:
            odd, team = (await store.listing(WEBHOOK)).items
            found = condition_of(odd.status.conditions, "Ready")
            return found is not None and "no address" in found.message and team.status.delivered_count == 1

        await _until(begun)
        await _finish(store, "a")
        await _until(both)

    _run(tmp_path, use)
    assert [json.loads(body)["name"] for _, body in receiver.told] == ["a"]


def test_without_a_webhook_only_the_last_ends_are_kept_and_none_is_lost_before_it_is_known_that_there_is_none() -> (
    None
):
    store: Any = None
    sender, made = WebhookSender(store, [BATCH_EXECUTION], lambda: NOON), batch(1)
    end = merged((), NOON, Condition(type="Complete", status="True"))

    def ended(number: int) -> Change:
        metadata = structs.replace(made.metadata, uid=str(number), resource_version=str(number))
        return Change(
            "MODIFIED", replace(made, metadata=metadata, status=structs.replace(made.status, conditions=end))
        )

    for number in range(LIMIT_UNASKED + 10):
        sender.changed(ended(number))
    assert len(sender._notices) == LIMIT_UNASKED + 10
    sender._replace_hooks(Listing((), "1"))
    sender.changed(ended(LIMIT_UNASKED + 10))
    assert list(sender._notices) == [str(number) for number in range(11, LIMIT_UNASKED + 11)]


@pytest.mark.parametrize("while_it_is_told", [False, True])
def test_an_end_that_is_heard_of_after_a_later_one_is_told_too(
    tmp_path: Path, receiver: Receiver, while_it_is_told: bool
) -> None:
    async def use(store: SqliteStore, sender: WebhookSender) -> None:
        sender.listed(BATCH_EXECUTION, Listing((), "0"))
        await _hook(store, receiver)
        for name in ("first", "second"):
            await _finish(store, name)
        first, second = (await store.listing(BATCH_EXECUTION)).items

        async def told(number: int) -> bool:
            return (await store.listing(WEBHOOK)).items[0].status.delivered_count == number

        post: Any = sender._post

        async def hear_and_post(*given: Any) -> None:
            sender.changed(Change("MODIFIED", first))
            await post(*given)

        if while_it_is_told:
            sender._post = hear_and_post  # type: ignore[method-assign]
        sender.changed(Change("MODIFIED", second))
        await _until(partial(told, 2 if while_it_is_told else 1))
        for _ in range(2):
            sender.changed(Change("MODIFIED", first))
            await _until(partial(told, 2))
        cursor = (await store.listing(WEBHOOK)).items[0].status.cursor
        assert cursor == second.metadata.resource_version

    async def main() -> None:
        store = SqliteStore(tmp_path / "state.db", KINDS)
        sender = WebhookSender(store, [BATCH_EXECUTION], lambda: NOON)
        sending = asyncio.ensure_future(sender.run())
        try:
            await asyncio.wait_for(use(store, sender), 60)
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            await store.close()

    asyncio.run(main())
    assert [json.loads(body)["name"] for _, body in receiver.told] == ["second", "first"]


def test_what_ended_while_the_platform_was_down_is_told_when_it_is_up(tmp_path: Path, receiver: Receiver) -> None:
    _run(tmp_path, lambda store: _hook(store, receiver))

    async def meanwhile() -> None:
        store = SqliteStore(tmp_path / "state.db", KINDS)
        await _finish(store, "late")
        await store.close()

    asyncio.run(meanwhile())

    async def use(store: SqliteStore) -> None:
        async def told() -> bool:
            return (await store.listing(WEBHOOK)).items[0].status.delivered_count == 1

        await _until(told)

    for _ in range(2):
        _run(tmp_path, use)
    assert [json.loads(body)["name"] for _, body in receiver.told] == ["late"]


def test_a_secret_that_is_no_base64_cannot_sign() -> None:
    made = batch(1)
    metadata = structs.replace(made.metadata, uid="u", resource_version="7")
    end = merged((), NOON, Condition(type="Complete", status="True"))
    notice = notice_of(replace(made, metadata=metadata, status=structs.replace(made.status, conditions=end)))
    assert notice is not None
    with pytest.raises(InvalidSecret, match="not base64"):
        signed_headers(notice, b"", b"whsec_\xc3\xa4", NOON)
