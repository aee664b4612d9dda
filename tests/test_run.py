"""The runner of the tests: what it prints and how it ends."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.run import E2E, PARTS, ROOT, parts_of_e2e, rooms_of

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


def test_each_file_of_e2e_is_in_one_part_and_each_part_has_what_it_names() -> None:
    parts = parts_of_e2e()
    assert {room.name for room in parts} == {
        f"{E2E} ({name})" for name in ("kubernetes", "clusters", *PARTS, "others")
    }
    paths = [path for room in parts for path in room.paths]
    assert sorted(paths) == sorted(str(file.relative_to(ROOT)) for file in (ROOT / E2E).glob("test_*.py"))
    for pattern in (each for files in PARTS.values() for each in files):
        assert list((ROOT / E2E).glob(f"{pattern}.py")), pattern


def test_all_tests_that_share_a_cluster_are_in_one_process() -> None:
    kubernetes, *others = parts_of_e2e()
    assert f"{E2E}/test_cluster_store.py" in kubernetes.paths
    takes = re.compile(r"def test_\w+\([^)]*\b(cluster|namespace): ")
    assert takes.search((ROOT / kubernetes.paths[0]).read_text())
    assert not [path for room in others for path in room.paths if takes.search((ROOT / path).read_text())]


def test_e2e_is_several_rooms_unless_its_tests_are_left_out() -> None:
    assert [room.waits for room in rooms_of([E2E, "tests/core"])] == [*(True for _ in parts_of_e2e()), False]
    assert [room.paths for room in rooms_of([E2E], quick=True)] == [(E2E,)]
    assert [room.paths for room in rooms_of([f"{E2E}/test_page.py"])] == [(f"{E2E}/test_page.py",)]
