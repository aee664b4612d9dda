"""Connections of devices in one event loop, without sockets: who stays connected, and what is held for whom."""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest
from picows import WSMsgType

from lykeion.delivery.device_service import DeviceAdmission, FleetRecord, NotADevice, open_fleet
from lykeion.delivery.device_sessions import MAX_GROUP_NAME, add_command, presence_of
from lykeion.delivery.gateway.device_connection import MOST_UNSTORED_BYTES, DeviceConnection
from lykeion.delivery.gateway.device_hub import HELLO_S, DeviceHub, groups_of, known_device
from lykeion.delivery.gateway.device_queries import DeviceQueries
from lykeion.delivery.gateway.device_websocket import DeviceSocket, websocket_protocol
from lykeion.delivery.gateway.session_writer import SessionWriter
from lykeion.device import EnrolRequest
from lykeion.device.conversation import (
    AckFrame,
    ByeFrame,
    DesiredFrame,
    Frame,
    HelloFrame,
    MessageFrame,
    PresenceFrame,
    WelcomeFrame,
    read_frame,
    write_frame,
)
from lykeion.device.conversation.gateway_session import GATEWAY_WINDOW
from lykeion.web_kit import Refusal, Workers
from lykeion.web_kit.sparing_log import REPEATS


@dataclass
class HeldLink:
    """A link whose frames stay here."""

    full: bool = False
    full_since: float | None = None
    frames: list[Frame] = field(default_factory=list)
    closed: str = ""
    paused: bool = False

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def send(self, data: bytes) -> None:
        self.frames.append(read_frame(data))

    def close(self, why: str) -> None:
        self.closed = why

    def of(self, kind: type) -> list[Any]:
        return [each for each in self.frames if isinstance(each, kind)]


@dataclass
class Hub:
    hub: DeviceHub

    def open(self, device: str = "d-1") -> tuple[DeviceConnection, HeldLink]:
        link = HeldLink()
        return self.hub.open(device, {}, 1e12, link), link

    async def greeted(self, device: str = "d-1", limit: int = 64) -> tuple[DeviceConnection, HeldLink]:
        connection, link = self.open(device)
        connection.received(write_frame(HelloFrame(bytes(16), 0, 0, 1, 1, limit, {})))
        await until(lambda: bool(link.of(WelcomeFrame)))
        return connection, link


async def until(done: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not done():
            await asyncio.sleep(0.002)


@asynccontextmanager
async def hub_at(directory: Path) -> AsyncIterator[Hub]:
    with closing(open_fleet(directory)) as store, closing(open_fleet(directory)) as writing:
        writer = SessionWriter(writing)
        parts: Any = SimpleNamespace(
            clock=lambda: 1_000.0,
            rollouts=tuple,
            experiments=tuple,
            fleet=store,
            catalogue=SimpleNamespace(models=dict),
            flags=flags,
        )
        try:
            yield Hub(DeviceHub(parts, store, writer, DeviceQueries(None, Workers(1, 1))))
        finally:
            writer.close()


def flags(record: FleetRecord) -> dict[str, bool]:
    """As rules may fail for what one device says of itself."""
    if "odd" in record.attributes:
        raise ZeroDivisionError("a fault of the program")
    return {"new_page": True}


def enrolled(directory: Path, **attributes: Any) -> str:
    with closing(open_fleet(directory)) as store:
        admission = DeviceAdmission(store, lambda: 1_000.0)
        request = EnrolRequest(admission.new_token(60), secrets.token_hex(32), attributes)
        return admission.enrol(request).device


def test_of_one_device_no_two_connections_wait_for_their_welcome(tmp_path: Path) -> None:
    async def run() -> None:
        async with hub_at(tmp_path) as hub:
            links = [hub.open()[1] for _ in range(50)]
            assert [bool(each.closed) for each in links] == [True] * 49 + [False]
            assert not hub.open("d-2")[1].closed
            assert not links[-1].closed

    asyncio.run(run())


def test_the_last_of_connections_that_say_hello_at_once_has_the_session(tmp_path: Path) -> None:
    async def run() -> None:
        async with hub_at(tmp_path) as hub:
            _, first = await hub.greeted()
            _, second = await hub.greeted()
            assert (first.closed, second.closed) == ("another connection has this session", "")

    asyncio.run(run())


def test_a_connection_on_which_no_hello_comes_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        async with hub_at(tmp_path) as hub:
            _, silent = hub.open("d-1")
            _, greeted = await hub.greeted("d-2")
            hub.hub._end_stuck()
            assert not silent.closed
            now = asyncio.get_running_loop().time() + HELLO_S + 1
            monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now)
            hub.hub._end_stuck()
            assert "no hello" in silent.of(ByeFrame)[0].why
            assert not greeted.closed
            monkeypatch.undo()

    asyncio.run(run())


def test_of_commands_no_more_are_held_than_a_window_whatever_a_device_says_it_takes(tmp_path: Path) -> None:
    async def run() -> None:
        async with hub_at(tmp_path) as hub:
            with closing(open_fleet(tmp_path)) as store, store.transaction() as now:
                for number in range(3 * GATEWAY_WINDOW):
                    add_command(now, "d-1", f"k{number:03}", "blink", None, 2_000.0, float(number), "test")
            connection, link = await hub.greeted(limit=1 << 53)
            for acknowledged in range(0, 3 * GATEWAY_WINDOW, GATEWAY_WINDOW):
                await until(lambda end=acknowledged + GATEWAY_WINDOW: len(link.of(MessageFrame)) == end)
                assert len(connection._session.outgoing) == GATEWAY_WINDOW
                connection.received(write_frame(AckFrame(acknowledged + GATEWAY_WINDOW, 1 << 53)))
            assert [each.body["key"] for each in link.of(MessageFrame)] == [f"k{n:03}" for n in range(192)]

    asyncio.run(run())


def long_message(number: int, size: int = 200_000) -> bytes:
    event = {"id": number, "kind": "event", "name": "a", "at": 1.0, "fields": {}}
    return write_frame(MessageFrame(number, "events", {"events": [event], "dropped": {}, "more": "x" * size}))


def test_nothing_more_is_read_from_a_device_while_a_megabyte_of_it_is_not_stored(tmp_path: Path) -> None:
    async def run() -> None:
        async with hub_at(tmp_path) as hub, asyncio.timeout(60):
            connection, link = await hub.greeted()
            _, other = await hub.greeted("d-2")
            with closing(open_fleet(tmp_path)) as store, store.transaction():  # the store hangs
                sent = 0
                while not link.paused:
                    sent += 1
                    connection.received(long_message(sent))
                    await asyncio.sleep(0)
                assert sent * 200_000 <= MOST_UNSTORED_BYTES + 200_000
                assert (other.paused, link.of(AckFrame)) == (False, [])
            await until(lambda: bool(link.of(AckFrame)) and link.of(AckFrame)[-1].number == sent)
            assert (link.paused, link.closed) == (False, "")
            for number in range(sent + 1, sent + 20):  # one after the other, it is never paused
                connection.received(long_message(number))
                await until(lambda number=number: link.of(AckFrame)[-1].number == number)
                assert not link.paused

    asyncio.run(run())


def test_a_connection_that_fails_to_hear_of_its_messages_keeps_no_other_from_it(tmp_path: Path) -> None:
    def fails(*_: object) -> NoReturn:
        raise ValueError("a fault of the program")

    async def run() -> None:
        async with hub_at(tmp_path) as hub:
            odd, _ = await hub.greeted("d-1")
            even, link = await hub.greeted("d-2")
            odd.stored = fails
            with closing(open_fleet(tmp_path)) as store, store.transaction():  # so that both are stored together
                odd.received(long_message(1))
                even.received(long_message(1))
                await asyncio.sleep(0)
            await until(lambda: bool(link.of(AckFrame)))

    asyncio.run(run())


def test_frames_that_were_read_before_the_pause_are_taken_and_reading_goes_on_when_half_is_stored(
    tmp_path: Path,
) -> None:
    async def run() -> None:
        async with hub_at(tmp_path) as hub, asyncio.timeout(60):
            connection, link = await hub.greeted()
            for number in range(1, 31):
                connection.received(long_message(number))
            assert link.paused
            await until(lambda: not link.paused)
            await until(lambda: link.of(AckFrame)[-1].number == 30)

    asyncio.run(run())


def test_how_a_device_is_is_known_to_whoever_has_the_store_and_the_last_word_counts(tmp_path: Path) -> None:
    async def run() -> None:
        async with hub_at(tmp_path) as hub:
            connection, link = await hub.greeted()
            for body in ({"battery": 0.9}, {"battery": 0.1}, "x" * 5_000):
                connection.received(write_frame(PresenceFrame(body)))
            hub.hub._keep_presences()
            hub.hub._keep_presences()
            with closing(open_fleet(tmp_path)) as store:
                await until(lambda: presence_of(store, "d-1") is not None)
                assert presence_of(store, "d-1") == ({"battery": 0.1}, 1_000.0)
            assert not link.closed

    asyncio.run(run())


def test_a_device_for_which_the_desired_state_fails_keeps_nobody_else_from_theirs(tmp_path: Path) -> None:
    async def run() -> None:
        async with hub_at(tmp_path) as hub:
            telling = asyncio.ensure_future(hub.hub._tell_desired())
            _, odd = await hub.greeted(enrolled(tmp_path, odd=1))
            _, even = await hub.greeted(enrolled(tmp_path))
            await until(lambda: bool(even.of(DesiredFrame)) or telling.done())
            assert even.of(DesiredFrame)[0].body["flags"] == {"new_page": True}
            assert (odd.of(DesiredFrame), odd.closed, telling.done()) == ([], "", False)
            telling.cancel()

    asyncio.run(run())


def test_a_command_is_heard_of_though_one_that_was_made_after_it_was_stored_before(tmp_path: Path) -> None:
    def command(key: str, at: float) -> None:
        with closing(open_fleet(tmp_path)) as store, store.transaction() as now:
            add_command(now, "d-1", key, "blink", None, 2_000.0, at, "test")

    async def run() -> None:
        async with hub_at(tmp_path) as hub:
            _, link = await hub.greeted()
            for key, at in (("k1", 1_002.0), ("k2", 1_001.0)):
                command(key, at)
                await hub.hub._look()
                await until(lambda key=key: key in [each.body["key"] for each in link.of(MessageFrame)])

    asyncio.run(run())


@pytest.mark.parametrize("who", ["operator", "d-dave"])
def test_a_revocation_is_heard_of_whoever_made_it(tmp_path: Path, who: str) -> None:
    async def run() -> None:
        async with hub_at(tmp_path) as hub:
            telling = asyncio.ensure_future(hub.hub._tell_desired())
            device = enrolled(tmp_path)
            _, link = await hub.greeted(device)
            await until(lambda: bool(link.of(DesiredFrame)))
            await hub.hub._look()
            with closing(open_fleet(tmp_path)) as store:
                DeviceAdmission(store, lambda: 1_001.0).set_state(device, "revoked", who)
            await hub.hub._look()
            await until(lambda: bool(link.closed))
            assert link.closed == "this device is revoked"
            telling.cancel()

    asyncio.run(run())


def test_a_device_that_does_not_read_is_sent_no_pongs() -> None:
    sent: list[bytes] = []
    buffer = SimpleNamespace(set_write_buffer_limits=lambda high: None)
    transport: Any = SimpleNamespace(underlying_transport=buffer, is_disconnected=False, send_pong=sent.append)
    ping: Any = SimpleNamespace(msg_type=WSMsgType.PING, fin=True, get_payload_as_bytes=lambda: b"p")

    async def run() -> None:
        socket = DeviceSocket()
        socket.on_ws_connected(transport)
        socket.on_ws_frame(transport, ping)
        socket.pause_writing()
        socket.on_ws_frame(transport, ping)
        assert sent == [b"p"]
        socket.resume_writing()
        socket.on_ws_frame(transport, ping)
        assert sent == [b"p", b"p"]

    asyncio.run(run())


@pytest.mark.parametrize("token", ["", "wrong", "\udcff", "\xff", "a" * 10_000])
def test_a_credential_of_any_letters_is_refused_and_is_no_fault_of_the_program(tmp_path: Path, token: str) -> None:
    with closing(open_fleet(tmp_path)) as store, pytest.raises(NotADevice):
        known_device(DeviceAdmission(store, lambda: 1_000.0), token)


def test_devices_that_send_what_is_no_websocket_do_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    websocket_protocol(lambda request, socket: Refusal(404, "nobody"))
    log = logging.getLogger("lykeion.delivery.gateway")
    for number in range(1_000):
        log.error("parser error %d", number)
    assert 0 < len(caplog.records) <= REPEATS


def test_a_device_is_in_groups_by_its_attribute_but_in_none_that_no_welcome_can_name() -> None:
    longest = "g" * MAX_GROUP_NAME
    assert groups_of({"groups": f" shop-3,{longest},{longest}g,,all,shop-3"}) == ("all", "shop-3", longest)
    assert groups_of({"groups": 3}) == ("all",)
    assert len(groups_of({"groups": ",".join(map(str, range(50)))})) == 16
