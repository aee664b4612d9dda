"""Programs on this machine get what they ask for and no more, also after a restart of the platform."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

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
