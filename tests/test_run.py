"""The runner of the tests: what it prints and how it ends."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).with_name("run.py")
ROOMS = {
    "passes": "def test_it() -> None:\n    pass\n",
    "fails": "def test_it() -> None:\n    print('why')\n    assert False\n",
    "crashes": "import os\n\ndef test_it() -> None:\n    os.abort()\n",
    "empty": "",
}


def run(directory: Path, *rooms: str) -> subprocess.CompletedProcess[str]:
    for name in rooms:
        (directory / f"test_{name}.py").write_text(ROOMS[name])
    paths = [str(directory / f"test_{name}.py") for name in rooms]
    quicker = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run([sys.executable, str(RUN), *paths], env=quicker, capture_output=True, text=True)


def test_rooms_that_pass_are_a_success(tmp_path: Path) -> None:
    done = run(tmp_path, "passes")
    assert done.returncode == 0
    assert "test_passes.py passed" in done.stdout


@pytest.mark.parametrize(
    ("room", "verdict"), [("fails", "failed"), ("crashes", "was ended by SIGABRT"), ("empty", "has no tests")]
)
def test_a_room_that_does_not_pass_is_named_at_the_end(tmp_path: Path, room: str, verdict: str) -> None:
    done = run(tmp_path, room, "passes")
    assert done.returncode == 1
    _, _, ending = done.stdout.partition("== 2 rooms in ")
    assert f"test_{room}.py {verdict}" in ending
    assert "test_passes.py" not in ending


def test_a_rooms_output_is_printed_whole_and_its_failures_again_at_the_end(tmp_path: Path) -> None:
    done = run(tmp_path, "fails", "passes")
    before, _, after = done.stdout.partition("test_fails.py failed")
    assert "why" in before
    assert "test_fails.py::test_it" in after
