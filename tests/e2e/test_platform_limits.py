"""Programs on this machine get what they ask for and no more, also after a restart of the platform."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mounts import fill, small_disk

from .platform_machine import PlatformMachine, platform_machine, until

linux = pytest.mark.skipif(sys.platform != "linux", reason="limits are for Linux")


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[PlatformMachine]:
    with platform_machine(tmp_path / "h") as made:
        yield made


def _python(script: str, **resources: object) -> dict[str, object]:
    return {"command": [sys.executable, "-S", "-c", script], "resources": resources}


GREEDY = """
import os, time
open('started', 'a').write('x')
while not os.path.exists('go'): time.sleep(0.02)
kept = b'x' * (400 << 20)
time.sleep(600)
"""


@linux
def test_a_program_that_uses_more_memory_than_it_asked_for_is_killed_also_after_a_restart(
    machine: PlatformMachine,
) -> None:
    machine.start()
    rules = [{"action": "Fail", "reasons": ["OOMKilled"]}]
    machine.apply(program=_python(GREEDY, memory="128Mi"), shards={"count": 1}, retries=5, onFailure=rules)
    until((machine.place / "started").exists)
    machine.kill()
    machine.start()
    (machine.place / "go").touch()
    assert "shard 0: OOMKilled" in machine.run("wait", "batch/embed", "--timeout", "60", code=2)
    assert (machine.place / "started").read_text() == "x"


@linux
def test_a_program_is_kept_to_the_cores_that_it_asked_for(machine: PlatformMachine) -> None:
    machine.start()
    script = "import os; print(len(os.sched_getaffinity(0)))"
    machine.apply(program=_python(script, cpu="500m", memory="256Mi"), shards={"count": 1})
    machine.run("wait", "batch/embed", "--timeout", "60")
    assert machine.run("logs", "batch/embed") == "1\n"


@linux
def test_an_accelerator_that_the_machine_lacks_is_named(machine: PlatformMachine) -> None:
    machine.start()
    accelerator = {"type": "no-such-type", "count": 2}
    machine.apply(program=_python("", accelerator=accelerator), shards={"count": 1})
    until(lambda: machine.condition("Unschedulable")["status"] == "True")
    message = machine.condition("Unschedulable")["message"]
    assert message == "one process needs 2 no-such-type; this machine has none"


def test_a_full_disk_is_named_and_the_platform_goes_on_when_there_is_room(tmp_path: Path) -> None:
    with small_disk(tmp_path / "d", "8m") as disk, platform_machine(disk / "h") as machine:
        machine.start()
        (tmp_path / "ran").touch()
        program = {
            "command": ["sh", "-c", f"while ! test -e {tmp_path}/go; do sleep 0.1; done; echo x >> {tmp_path}/ran"]
        }
        machine.apply(program={**program, "workingDir": str(tmp_path)}, shards={"count": 3}, parallelism=1)
        until(lambda: machine.get()["status"].get("active") == "0")
        fill(disk)
        (tmp_path / "go").touch()
        until(lambda: (tmp_path / "ran").read_text() == "x\n")
        assert machine.get()["status"]["progress"] in ("", "0/3", "1/3")
        file = tmp_path / "more.yaml"
        file.write_text(
            "apiVersion: lykeion.github.io/v1alpha1\nkind: BatchExecution\nmetadata: {name: more}\n"
            "spec: {program: {command: ['true']}, shards: {count: 1}}\n"
        )
        assert "full" in machine.run("apply", "-f", str(file), code=2)
        (disk / "filling").unlink()
        machine.run("wait", "batch/embed", "--timeout", "120")
        machine.run("apply", "-f", str(file))
        machine.run("wait", "batch/more", "--timeout", "60")
        assert (tmp_path / "ran").read_text() == "x\n" * 3
