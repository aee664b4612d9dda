import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_kill_9_leaves_a_readable_store_and_aliases_old_or_new(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.registry.crash_rounds", str(tmp_path), "40"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr
    ended = json.loads(done.stdout.splitlines()[-1])
    assert sum(ended.values()) >= 8  # that many were ended before they were done
