"""Simulated devices with faults against a gateway that is killed: what they were told is what is stored."""

import json
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from lykeion.delivery.device_service import open_fleet
from lykeion.delivery.simulation import Swarm, SwarmFailed, check_store, make_devices, run_swarm
from tests.delivery.conversing import GatewayProcess
from tests.delivery.fleet import Fleet

pytestmark = pytest.mark.slow


@pytest.fixture
def gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GatewayProcess:
    monkeypatch.setenv("LYKEION_HOME", str(tmp_path / "home"))
    fleet = Fleet(tmp_path)
    fleet.init()
    fleet.publish(1)
    made = GatewayProcess(fleet.home, tmp_path / "fleet")
    made.start()
    return made


def test_faults_and_kills_lose_nothing_that_was_acknowledged_and_store_nothing_twice(gateway: GatewayProcess) -> None:
    with gateway.store() as store:
        identities = make_devices(store, 60, time.time())
        swarm = Swarm(gateway.url, identities, 20, seed=1, every_s=0.2, faults=0.1, skew_s=1e6, connect_within_s=1)

        def kill() -> None:
            for _ in range(3):
                time.sleep(4)
                gateway.kill()
                gateway.start()

        killing = threading.Thread(target=kill)
        killing.start()
        report = run_swarm(swarm)
        killing.join()
        gateway.stop()
        assert list(check_store(store, report.told)) == []
    counts = report.counts
    assert len(report.told) == 60
    assert counts["acknowledged"] > 60
    assert counts["welcomes"] > 120
    assert [name for name in counts if name.startswith("reset")] == []
    kinds = {name for name in counts if name.startswith("fault")}
    assert len(kinds) == 7
    # a check that finds nothing would find it here
    name, (acknowledged, put, missing) = next(iter(report.told.items()))
    with gateway.store() as store:
        assert check_store(store, {name: (acknowledged + 1_000, put, missing)})
        assert check_store(store, {name: (acknowledged, put + 1_000, missing)})


def test_the_command_says_what_happened(gateway: GatewayProcess) -> None:
    words = [
        "--devices",
        "5",
        "--gateway",
        gateway.url,
        "--fleet",
        str(gateway.fleet),
        "--for",
        "3s",
        "--every",
        "1s",
    ]
    shown = json.loads(gateway.run("simulate", *words, "--connect-within", "1s", "--processes", "1", "--json"))
    assert shown["problems"] == []
    assert shown["counts"]["welcomes"] >= 5
    gateway.stop()


def test_devices_that_cannot_connect_are_an_error_and_no_success(tmp_path: Path) -> None:
    with closing(open_fleet(tmp_path)) as store:
        identities = make_devices(store, 2, time.time())
    swarm = Swarm("http://127.0.0.1:1", identities, 1, connect_within_s=0.1)
    with pytest.raises(
        SwarmFailed, match=r"no device could connect to http://127\.0\.0\.1:1 .*ConnectionRefusedError"
    ):
        run_swarm(swarm)
