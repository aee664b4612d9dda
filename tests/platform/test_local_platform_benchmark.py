"""The benchmark of the platform runs, in miniature."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_benchmark_of_the_platform_writes_its_page(tmp_path: Path) -> None:
    size = "--shards", "8", "--parallelism", "4", "--objects", "3", "--idle", "0.2"
    program = ROOT / "benchmarks" / "local_platform.py"
    done = subprocess.run(
        [sys.executable, program, *size, "--page", tmp_path / "page.md"], capture_output=True, text=True
    )
    assert "| 8 | " in done.stdout, done.stderr
    assert "\n| 3 | " in (tmp_path / "page.md").read_text()
