"""Two gateways with one PostgreSQL: a device moves between them, one is cut off, one is killed, the base restarts."""

import signal
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed

from lykeion.delivery.device_service import DeviceAdmission, open_fleet
from lykeion.delivery.device_sessions import add_command
from lykeion.device.conversation import MessageFrame
from tests.delivery.conversing import GatewayProcess, SocketDevice, end_of
from tests.delivery.fleet import Fleet
from tests.delivery.postgres import Postgres, postgres

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with postgres() as made:
        yield made


@pytest.fixture
def state(server: Postgres) -> str:
    return server.base("gateways")


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
