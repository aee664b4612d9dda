"""tuf-js in Node, which browsers' clients stand on, reads what delivery publishes, and refuses what it should."""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from lykeion.core import digest_bytes
from lykeion.delivery import refresh, rotate
from lykeion.device import read_limits, read_target
from lykeion.litert.packed import unpack
from tests.delivery.fleet import Fleet
from tests.delivery.static_host import StaticHost

PROGRAM = Path(__file__).parent / "tuf_js"
Read = Callable[[str], Any]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program with tuf-js installed."""
    if shutil.which("npm") is None:
        pytest.skip("needs Node and npm")
    directory = tmp_path_factory.mktemp("tuf-js")
    shutil.copytree(PROGRAM, directory, dirs_exist_ok=True)
    done = subprocess.run(["npm", "ci", "--ignore-scripts"], cwd=directory, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"npm does not reach its registry: {done.stderr.strip().splitlines()[-1:]}")
    return directory


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fleet:
    monkeypatch.setenv("LYKEION_HOME", str(tmp_path / "home"))
    return Fleet(tmp_path)


@pytest.fixture
def host(fleet: Fleet) -> Iterator[StaticHost]:
    with StaticHost(fleet.home / "public") as host:
        yield host


@pytest.fixture
def read(fleet: Fleet, host: StaticHost, program: Path) -> Read:
    """What a device with tuf-js says of a target; it keeps its state between calls."""
    device = fleet.path / "device"

    def call(path: str) -> Any:
        if not device.exists():
            device.mkdir()
            shutil.copy(host.public / "metadata" / "1.root.json", device / "root.json")
        command = ["node", "read.js", str(device), f"{host.url}/metadata", f"{host.url}/targets", path]
        done = subprocess.run(command, cwd=program, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return call


def test_tuf_js_reads_and_downloads_what_is_published(fleet: Fleet, host: StaticHost, read: Read) -> None:
    fleet.init(threshold=2)
    fleet.publish(1)
    found = read("shoes/v1/any")
    record = read_target(found["custom"], "shoes/v1/any")
    download = (host.public / "targets" / "shoes" / "v1" / f"{found['sha256']}.any").read_bytes()
    assert digest_bytes(unpack(download)) == record.file
    assert read_limits(read("shoes/limits")["custom"], "shoes/limits").minimum == 1
    assert read("shoes/v9/any") is None


def test_tuf_js_follows_rotations_and_refuses_rollback_and_expiry(fleet: Fleet, host: StaticHost, read: Read) -> None:
    fleet.now -= timedelta(days=2)
    fleet.init()
    fleet.publish(1)
    old = (host.public / "metadata" / "timestamp.json").read_bytes()
    for role in ("root", "targets"):
        rotate(fleet.home, role, clock=fleet.clock)
    assert "custom" in read("shoes/v1/any")
    new = (host.public / "metadata" / "timestamp.json").read_bytes()
    (host.public / "metadata" / "timestamp.json").write_bytes(old)
    assert "error" in read("shoes/v1/any")
    (host.public / "metadata" / "timestamp.json").write_bytes(new)
    fleet.now -= timedelta(days=20)
    refresh(fleet.home, clock=fleet.clock, clock_is_right=True)
    assert read("shoes/v1/any")["error"] == "ExpiredMetadataError"
