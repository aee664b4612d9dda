"""A gateway with devices over sockets: sessions that outlive processes, commands, broadcasts, who may connect."""

import json
import secrets
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from lykeion.device.conversation import (
    AckFrame,
    BroadcastFrame,
    ByeFrame,
    DesiredFrame,
    DeviceSession,
    MessageFrame,
    SessionRecord,
)
from tests.delivery.conversing import GatewayProcess, SocketDevice, end_of
from tests.delivery.fleet import Fleet

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with two versions of shoes."""
    with pytest.MonkeyPatch.context() as patch:
        path = tmp_path_factory.mktemp("repository")
        patch.setenv("LYKEION_HOME", str(path / "home"))
        fleet = Fleet(path)
        fleet.init()
        for seed in (1, 2):
            fleet.publish(seed)
        return fleet.home


@pytest.fixture(scope="module")
def shared(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    made = GatewayProcess(home, tmp_path_factory.mktemp("shared") / "fleet", ("--open-metrics",))
    made.start()
    yield made
    assert made.stop() == 0


@pytest.fixture
def gateway(shared: GatewayProcess) -> GatewayProcess:
    """Of all tests: each has devices of its own."""
    return shared


@pytest.fixture
def own_gateway(home: Path, tmp_path: Path) -> Iterator[GatewayProcess]:
    """For tests that kill it."""
    made = GatewayProcess(home, tmp_path / "fleet")
    made.start()
    yield made
    made.stop()


@pytest.fixture
def device(gateway: GatewayProcess) -> SocketDevice:
    made = SocketDevice(gateway)
    made.enrol(gateway.token(1))
    return made


def stored(device: SocketDevice) -> list[int]:
    with device.gateway.store() as store:
        rows = store.rows("SELECT number FROM events WHERE device = ? ORDER BY number", (device.name,))
    return [row["number"] for row in rows]


def test_what_is_acknowledged_is_stored_once_and_the_session_is_resumed(
    gateway: GatewayProcess, device: SocketDevice
) -> None:
    first = device.connect()
    assert first.resets == ()
    for number in range(1, 101):
        device.report(number)
    device.until(device.all_taken)
    assert stored(device) == list(range(1, 101))
    again = device.connect()
    assert (again.received, again.resets) == (100, ())
    assert again.epoch == first.epoch + 1


def test_a_gateway_that_is_killed_loses_nothing_that_it_acknowledged(own_gateway: GatewayProcess) -> None:
    gateway, device = own_gateway, SocketDevice(own_gateway)
    device.enrol(gateway.token(1))
    made = 0
    for _ in range(4):
        device.connect()
        acknowledged = len(device.of(AckFrame))
        for _ in range(60):
            made += 1
            device.report(made)
        device.until(lambda before=acknowledged: len(device.of(AckFrame)) > before)
        gateway.kill()
        gateway.start()
        assert device.connect().resets == ()
    device.until(device.all_taken)
    assert stored(device) == list(range(1, made + 1))


def test_a_device_hears_what_it_is_to_run_and_at_once_when_that_changes(
    gateway: GatewayProcess, device: SocketDevice
) -> None:
    device.connect()
    device.until(lambda: bool(device.of(DesiredFrame)))
    assert "v1" in device.of(DesiredFrame)[-1].body["targets"]["shoes"]
    gateway.run("delivery", "devices", "pin", device.name, "shoes", "v2", "--fleet", str(gateway.fleet))
    device.until(lambda: "v2" in device.of(DesiredFrame)[-1].body["targets"]["shoes"])


def test_a_command_is_delivered_once_though_the_device_was_away_and_its_result_is_shown(
    gateway: GatewayProcess, device: SocketDevice
) -> None:
    fleet = ("--fleet", str(gateway.fleet))
    for _ in range(2):
        gateway.run("delivery", "devices", "send", device.name, "blink", '{"times": 3}', "--key", "k1", *fleet)
    device.connect()
    device.until(lambda: bool(device.of(MessageFrame)))
    (command,) = device.of(MessageFrame)
    assert command.body["body"] == {"times": 3}
    device.session.put("result", {"key": "k1", "ok": True, "said": "blinked"})
    device.until(device.all_taken)
    found = json.loads(gateway.run("delivery", "devices", "sent", device.name, "--json", *fleet))
    assert found == [{"key": "k1", "name": "blink", "state": "done", "said": "blinked"}]


def test_broadcasts_reach_a_group_and_also_those_who_were_away(gateway: GatewayProcess, device: SocketDevice) -> None:
    device.connect()
    gateway.run("delivery", "devices", "broadcast", "all", "hello", "--fleet", str(gateway.fleet))
    device.until(lambda: bool(device.of(BroadcastFrame)))
    device.socket.close()
    gateway.broadcast("all", "again")
    gateway.broadcast("shop-3", "not for all")
    device.connect()
    device.until(lambda: len(device.of(BroadcastFrame)) == 2)
    assert [each.body for each in device.of(BroadcastFrame)] == ["hello", "again"]


def test_who_has_no_credential_or_comes_from_another_page_gets_no_connection(
    gateway: GatewayProcess, device: SocketDevice
) -> None:
    right = device.credential
    for headers, status in (
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": f"Bearer {right}", "Origin": "https://elsewhere.example"}, 403),
    ):
        with pytest.raises(InvalidStatus) as refused:
            device.open(headers=headers)
        assert refused.value.response.status_code == status


def test_a_revoked_device_is_disconnected_and_told_why(gateway: GatewayProcess, device: SocketDevice) -> None:
    device.connect()
    gateway.run("delivery", "devices", "set", device.name, "revoke", "--fleet", str(gateway.fleet))
    device.until(lambda: bool(device.of(ByeFrame)))
    assert "revoked" in device.of(ByeFrame)[0].why
    with pytest.raises(InvalidStatus):
        device.open()


def test_a_credential_that_was_replaced_long_ago_gives_no_connection_and_the_copy_is_noticed(
    gateway: GatewayProcess, device: SocketDevice
) -> None:
    with gateway.store() as store, store.transaction() as now:
        now.change("UPDATE credentials SET replaced_at = 1 WHERE device = ?", (device.name,))
    device.socket = device.open()
    assert "another device" in end_of(device.socket)
    with gateway.store() as store:
        assert store.rows("SELECT clone_at FROM devices WHERE id = ?", (device.name,))[0]["clone_at"]


def test_a_second_connection_takes_the_session_and_the_first_is_told(
    gateway: GatewayProcess, device: SocketDevice
) -> None:
    device.connect()
    first = device.socket
    device.report(1)
    device.until(device.all_taken)
    device.connect()
    assert "another connection" in end_of(first)


@pytest.mark.parametrize("data", [b"", b"\x01", b"\x84\x04\x01\x02\x00", b"\x9b\x00\x00\x00\x00\xff\xff\xff\xff"])
def test_what_is_no_frame_ends_the_connection_with_a_reason(device: SocketDevice, data: bytes) -> None:
    device.connect()
    device.socket.send(data)
    assert any(word in end_of(device.socket) for word in ("frame", "Frame", "CBOR"))


def test_a_message_that_cannot_be_used_is_counted_and_holds_nothing_up(
    gateway: GatewayProcess, device: SocketDevice
) -> None:
    device.connect()
    device.session.put("events", {"events": [{"id": "x"}], "dropped": {}})
    device.session.put("nobody knows this", None)
    device.report(3)
    device.until(device.all_taken)
    assert stored(device) == [3]
    metrics = httpx.get(f"{gateway.url}/metrics", trust_env=False).text
    assert "lykeion_gateway_refused_messages_total 2.0" in metrics
    assert "lykeion_gateway_acknowledged_seconds_count" in metrics


def test_a_device_that_pings_is_answered(device: SocketDevice) -> None:
    device.connect()
    assert device.socket.ping(b"there?").wait(60)


def test_broadcasts_that_are_no_longer_kept_are_told_by_a_reset(gateway: GatewayProcess) -> None:
    device = SocketDevice(gateway)
    device.enrol(gateway.token(1), groups="short")
    device.connect()
    device.socket.close()
    for number in range(5):
        gateway.broadcast("short", number, kept=2)
    (reset,) = device.connect().resets
    assert (reset.what, reset.first, reset.last) == ("group:short", 1, 3)
    device.until(lambda: [each.body for each in device.of(BroadcastFrame)] == [3, 4])


def test_what_a_device_could_not_keep_is_told_by_a_reset(gateway: GatewayProcess, device: SocketDevice) -> None:
    device.session = DeviceSession(SessionRecord(secrets.token_bytes(16)), most=3)
    for number in range(1, 8):
        device.report(number)
    (reset,) = device.connect().resets
    assert (reset.what, reset.first, reset.last) == ("up", 1, 4)
    device.until(device.all_taken)
    assert stored(device) == [5, 6, 7]


def test_a_command_that_expired_while_the_device_was_away_is_not_sent(
    gateway: GatewayProcess, device: SocketDevice
) -> None:
    gateway.send(device.name, "late", None, valid_s=-1)
    gateway.send(device.name, "good", None)
    device.connect()
    device.until(lambda: bool(device.of(MessageFrame)))
    assert [each.body["key"] for each in device.of(MessageFrame)] == ["good"]


def test_a_device_that_sends_while_the_store_hangs_is_not_read_on_and_then_all_is_stored(
    own_gateway: GatewayProcess,
) -> None:
    """A window of messages, together more than the buffers of the network hold."""
    device = SocketDevice(own_gateway)
    device.enrol(own_gateway.token(1))
    device.connect()
    for number in range(1, 65):
        event = {"id": number, "kind": "event", "name": "long", "at": 1.0, "fields": {}}
        device.session.put("events", {"events": [event], "dropped": {}, "more": "x" * 250_000})
    sent: list[int] = []

    def send() -> None:
        for frame in device.session.due():
            device.say(frame)
            sent.append(frame.number)

    sending = threading.Thread(target=send)
    with own_gateway.store() as store, store.transaction():  # nobody else writes meanwhile
        sending.start()
        before = -1
        while len(sent) != before:
            before = len(sent)
            time.sleep(1)
        assert len(sent) < 64
    sending.join()
    device.until(device.all_taken)
    assert [reset for welcome in device.welcomes for reset in welcome.resets] == []


def test_more_devices_than_may_connect_in_a_second_are_told_when_to_return(home: Path, tmp_path: Path) -> None:
    gateway = GatewayProcess(home, tmp_path / "fleet", ("--connects", "0.5"))
    gateway.start()
    device = SocketDevice(gateway)
    device.enrol(gateway.token(1))
    waits = []
    for _ in range(6):
        try:
            device.open().close()
        except InvalidStatus as refused:
            waits.append(int(refused.response.headers["Retry-After"]))
    assert len(waits) >= 2
    assert waits == sorted(waits)
    gateway.stop()
