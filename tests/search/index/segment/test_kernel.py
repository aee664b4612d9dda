"""The native kernel computes what plain loops compute, for each instruction set that this machine can run."""

import platform
import runpy
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
TARGETS = runpy.run_path(str(ROOT / "build_kernel.py"))["TARGETS"]
MACHINE = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower(), platform.machine().lower())


@pytest.mark.skipif(shutil.which("c++") is None, reason="no C++ compiler")
@pytest.mark.parametrize("name", list(TARGETS[MACHINE]))
def test_the_kernel_agrees_with_plain_loops(name: str, tmp_path: Path) -> None:
    if name == "avx512" and "avx512_vnni" not in Path("/proc/cpuinfo").read_text():
        pytest.skip("this processor has no AVX-512 VNNI")
    program = tmp_path / "check"
    source = Path(__file__).with_name("kernel_check.cpp")
    subprocess.run(
        ["c++", "-O2", "-std=c++17", "-w", *TARGETS[MACHINE][name], str(source), "-o", str(program)], check=True
    )
    ran = subprocess.run([str(program)], capture_output=True, text=True)
    assert ran.stdout == "480 cases, 0 wrong\n"
    assert ran.returncode == 0
