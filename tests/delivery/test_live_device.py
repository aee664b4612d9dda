"""The device of the package in conversation with a gateway, over sockets and requests."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lykeion.device import Device, DeviceMessage, DeviceSettings, read_root, set_up_device
from lykeion.device.live import live_connection
from tests.delivery.conversing import GatewayProcess
from tests.delivery.fleet import Fleet
from tests.e2e.platform_machine import until

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    with pytest.MonkeyPatch.context() as patch:
        path = tmp_path_factory.mktemp("live")
        patch.setenv("LYKEION_HOME", str(path / "home"))
        fleet = Fleet(path)
        fleet.init()
        for seed in (1, 2):
            fleet.publish(seed)
        made = GatewayProcess(fleet.home, path / "fleet")
        made.start()
        yield made
        assert made.stop() == 0


@pytest.fixture
def make(gateway: GatewayProcess, tmp_path: Path) -> Iterator[Callable[[], Device]]:
    settings = DeviceSettings(gateway.url, server=gateway.url)
    root = read_root(gateway.home / "public" / "metadata" / "1.root.json")
    set_up_device(tmp_path / "device", settings, root, gateway.token(1))
    made: list[Device] = []

    def device() -> Device:
        made.append(Device(tmp_path / "device"))
        return made[-1]

    yield device
    for each in made:
        each.close()


def name_of(gateway: GatewayProcess) -> str:
    with gateway.store() as store:
        return store.rows("SELECT id FROM devices ORDER BY enrolled_at DESC LIMIT 1")[0]["id"]


def events(gateway: GatewayProcess, name: str) -> list[str]:
    with gateway.store() as store:
        return [row["name"] for row in store.rows("SELECT name FROM events WHERE device = ?", (name,))]


@pytest.mark.parametrize("way", ["socket", "requests"])
def test_a_device_hears_of_another_version_of_commands_and_of_broadcasts(
    gateway: GatewayProcess, make: Callable[[], Device], way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if way == "requests":
        monkeypatch.setattr(live_connection, "WebSocketTransport", live_connection.PollTransport)
    device, name, heard = make(), name_of(gateway), list[DeviceMessage]()

    def hear(message: DeviceMessage) -> Any:
        heard.append(message)
        return {"blinked": message.body["times"]} if message.name == "test" else None

    device.on(hear)
    assert device.update().problems == {}
    device.go_live()
    until(lambda: device.is_live)
    gateway.send(name, "k1", {"times": 3})
    gateway.broadcast("all", "news")
    until(lambda: {"command", "broadcast"} <= {each.kind for each in heard})
    gateway.run("delivery", "devices", "pin", name, "shoes", "v2", "--fleet", str(gateway.fleet))
    until(lambda: any(each.kind == "desired" and "v2" in str(each.body) for each in heard))
    assert device.update().problems == {}
    assert device.model("shoes").target.version == 2

    def said() -> bool:
        shown = gateway.run("delivery", "devices", "sent", name, "--json", "--fleet", str(gateway.fleet))
        return '"done"' in shown and "blinked" in shown

    until(said)


def test_an_answer_that_no_frame_holds_is_a_failure_and_the_conversation_goes_on(
    gateway: GatewayProcess, make: Callable[[], Device]
) -> None:
    device, name = make(), name_of(gateway)
    answers: dict[str, Any] = {"deep": [[[[[[[[1]]]]]]]], "long": bytes(1 << 18), "keys": {1: 2}, "good": "done"}
    device.on(lambda message: answers.get(message.body) if message.kind == "command" else None)
    device.go_live()
    for each in answers:
        gateway.send(name, each, each)
    told = "SELECT key, state FROM commands WHERE device = ?"
    until(lambda: states(gateway, told, name).get("good") == "done")
    assert states(gateway, told, name) == {"deep": "failed", "long": "failed", "keys": "failed", "good": "done"}


def states(gateway: GatewayProcess, query: str, name: str) -> dict[str, str]:
    with gateway.store() as store:
        return {row["key"]: row["state"] for row in store.rows(query, (name,))}


def test_a_device_tells_of_events_when_it_is_connected_and_of_those_before(
    gateway: GatewayProcess, make: Callable[[], Device]
) -> None:
    device, name = make(), name_of(gateway)
    device.report("before")
    device.go_live()
    until(lambda: "before" in events(gateway, name))
    assert events(gateway, name).count("before") == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_command_that_the_process_died_over_comes_again_and_is_answered_once(
    gateway: GatewayProcess, make: Callable[[], Device]
) -> None:
    device, name = make(), name_of(gateway)
    keys: list[str] = []

    def dies(message: DeviceMessage) -> Any:
        if message.kind == "command":
            keys.append(message.key)
            raise SystemExit  # of the thread

    device.on(dies)
    device.go_live()
    gateway.send(name, "k2", None)
    until(lambda: keys != [])
    device.close()
    again = make()
    again.on(lambda message: message.key and "ok")
    again.go_live()

    def done() -> bool:
        with gateway.store() as store:
            return store.rows("SELECT state FROM commands WHERE device = ?", (name,))[0]["state"] == "done"

    until(done)
    assert keys == ["k2"]


def test_the_variant_of_an_experiment_is_reported_when_it_is_first_used(
    gateway: GatewayProcess, make: Callable[[], Device], monkeypatch: pytest.MonkeyPatch
) -> None:
    device = make()
    monkeypatch.setattr(Device, "flags", {"new-embedder": "treatment"})
    assert [device.variant("new-embedder") for _ in range(3)] == ["treatment"] * 3
    assert device.variant("unknown") is None
    (event,) = device.reports.batch().events
    assert (event.kind, event.fields) == ("exposure", {"experiment": "new-embedder", "variant": "treatment"})
