import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_kill_9_at_any_write_leaves_the_state_before_or_after_and_the_command_can_be_given_again(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-m", "tests.delivery.crash_rounds", str(tmp_path), "4"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr
    ended = json.loads(done.stdout.splitlines()[-1])
    assert len(ended) == 8
    assert min(ended.values()) >= 3
