from pathlib import Path
from typing import get_args

import pytest

from .crash_rounds import kill_writers
from .crash_writer import Role

ROUNDS = 10  # finds a write that is acknowledged before it is logged; benchmarks/kills.py has many more


@pytest.mark.slow
@pytest.mark.parametrize("role", get_args(Role))
def test_kill_9_loses_no_acknowledged_write(tmp_path: Path, role: Role) -> None:
    assert kill_writers(tmp_path, role, ROUNDS) > ROUNDS
