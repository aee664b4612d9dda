"""How many cores programs use."""

import subprocess
import sys
from pathlib import Path

import pytest

from lykeion.core import Unavailable
from lykeion.platform.local.processes.core_use import CoreUse

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

WORKS = """
import subprocess, sys, time
def work():
    while time.process_time() < 0.1: pass
if sys.argv[1:]:
    work()
else:
    subprocess.run([sys.executable, __file__, "child"], check=True)
    work()
    print("done", flush=True)
    sys.stdin.read()
"""


def test_the_time_of_a_program_and_its_children_counts_from_one_look_to_the_next(tmp_path: Path) -> None:
    file = tmp_path / "works.py"
    file.write_text(WORKS)
    clock = iter([0.0, 1.0, 2.0])
    use = CoreUse(clock=lambda: next(clock))
    with subprocess.Popen(
        [sys.executable, file], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as program:
        assert program.stdout
        with pytest.raises(Unavailable, match="from the second look on"):
            use.since_last("group", [])
        assert program.stdout.readline() == b"done\n"
        # processes are charged in whole ticks
        assert 0.15 <= use.since_last("group", [program.pid]) < 60
        assert use.since_last("group", [program.pid]) < 0.1
        program.communicate()


def test_what_another_owner_uses_is_looked_at_by_itself() -> None:
    use = CoreUse()
    for owner in ("one", "two"):
        with pytest.raises(Unavailable):
            use.since_last(owner, [])
