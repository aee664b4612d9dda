"""Two gateways with one PostgreSQL: a device moves between them, one is cut off, one is killed, the base restarts."""

import signal
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed

from lykeion.delivery.device_service import DeviceAdmission, open_fleet
from lykeion.delivery.device_sessions import add_broadcast, add_command
from lykeion.device.conversation import BroadcastFrame, MessageFrame
from tests.delivery.conversing import GatewayProcess, SocketDevice, end_of
from tests.delivery.fleet import Fleet
from tests.delivery.postgres import Postgres, postgres

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """Of these tests alone, since one kills it."""
    with postgres() as made:
        yield made


names = count(1)


@pytest.fixture
def state(server: Postgres) -> str:
    return server.base(f"gateways{next(names)}")


@pytest.fixture
def gateways(state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[GatewayProcess]]:
    monkeypatch.setenv("LYKEION_HOME", str(tmp_path / "home"))
    fleet = Fleet(tmp_path)
    fleet.init()
    fleet.publish(1)
    made = [GatewayProcess(fleet.home, tmp_path / f"fleet{number}", ("--state", state)) for number in range(2)]
    for each in made:
        each.start()
    yield made
    for each in made:
        each.stop()


def stored(state: str, device: SocketDevice) -> list[int]:
    with closing(open_fleet(Path(), state)) as store:
        rows = store.rows("SELECT number FROM events WHERE device = ? ORDER BY number", (device.name,))
    return [row["number"] for row in rows]


def reports(device: SocketDevice, *numbers: int) -> None:
    for number in numbers:
        device.report(number)


def test_a_session_outlives_gateways_that_are_cut_off_or_killed_and_a_base_that_restarts(
    gateways: list[GatewayProcess], server: Postgres, state: str
) -> None:
    first, second = gateways
    with closing(open_fleet(Path(), state)) as store:
        token = DeviceAdmission(store, time.time).new_token(3_600, 1)
    device = SocketDevice(first)
    device.enrol(token)
    device.connect()
    reports(device, *range(1, 21))
    device.until(device.all_taken)

    # the first is cut off with messages in its socket, and the device goes to the second
    assert first.process
    first.process.send_signal(signal.SIGSTOP)
    reports(device, *range(21, 31))
    device.say(*device.session.due())
    cut_off, device.gateway = device.socket, second
    assert device.connect().resets == ()
    reports(device, *range(31, 41))
    device.until(device.all_taken)
    first.process.send_signal(signal.SIGCONT)
    assert cut_off
    assert "another connection has this session" in end_of(cut_off)
    assert stored(state, device) == list(range(1, 41))

    # a command that one gateway's machine writes is heard by the other, which has the device
    with closing(open_fleet(Path(), state)) as store, store.transaction() as now:
        add_command(now, device.name, "k1", "blink", None, time.time() + 600, time.time(), "test")
    device.until(lambda: bool(device.of(MessageFrame)))

    # the base is killed and comes back; the gateway ends connections whose messages it cannot store
    reports(device, *range(41, 51))
    device.say(*device.session.due())
    server.stop()
    server.start()
    for _ in range(100):
        try:
            assert device.connect().resets == ()
            device.until(device.all_taken)
            break
        except (ConnectionClosed, OSError, TimeoutError, EOFError):
            time.sleep(0.2)
    assert stored(state, device) == list(range(1, 51))

    second.kill()
    device.gateway = first
    assert device.connect().resets == ()
    reports(device, 51)
    device.until(device.all_taken)
    assert stored(state, device) == list(range(1, 52))
    second.start()


def test_wake_ups_that_are_lost_cost_no_message(gateways: list[GatewayProcess], state: str) -> None:
    """Without notices a gateway hears of what others write when it next looks."""
    with closing(open_fleet(Path(), state)) as store:
        device = SocketDevice(gateways[0])
        device.enrol(DeviceAdmission(store, time.time).new_token(3_600, 1))
        device.connect()
        with store.transaction() as now:
            for table in ("commands", "broadcasts", "audit"):
                now.change(f"DROP TRIGGER lykeion_{table} ON {table}")
        for number in range(1, 6):
            with store.transaction() as now:
                at = time.time()
                add_command(now, device.name, f"k{number}", "blink", number, at + 600, at, "test")
                add_broadcast(now, "all", number, at, "test")
            device.until(lambda n=number: len(device.of(MessageFrame)) == len(device.of(BroadcastFrame)) == n)
        device.until(device.all_taken)
        assert [each.body["body"] for each in device.of(MessageFrame)] == [1, 2, 3, 4, 5]
        assert [each.body for each in device.of(BroadcastFrame)] == [1, 2, 3, 4, 5]
