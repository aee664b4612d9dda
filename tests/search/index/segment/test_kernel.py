"""The native kernel computes what plain loops compute, for each instruction set: another machine's are emulated."""

import platform
import runpy
import shutil
import subprocess
from pathlib import Path

import pytest

from lykeion.search.index.segment import kernel

ROOT = Path(__file__).parents[4]
TARGETS = runpy.run_path(str(ROOT / "build_kernel.py"))["TARGETS"]
MACHINE = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower(), platform.machine().lower())


@pytest.mark.slow
@pytest.mark.parametrize(("machine", "name"), [(machine, name) for machine in TARGETS for name in TARGETS[machine]])
def test_the_kernel_agrees_with_plain_loops(machine: str, name: str, tmp_path: Path) -> None:
    native = machine == MACHINE
    if name == "avx512" and not (native and "avx512_vnni" in Path("/proc/cpuinfo").read_text()):
        pytest.skip("this processor has no AVX-512 VNNI")
    compiler, emulator = ("c++", []) if native else (f"{machine}-linux-gnu-g++", [f"qemu-{machine}"])
    for tool in (compiler, *emulator):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    program, source = tmp_path / "check", Path(__file__).with_name("kernel_check.cpp")
    flags = ["-O2", "-std=c++17", "-w", *TARGETS[machine][name], *([] if native else ["-static"])]
    subprocess.run([compiler, *flags, str(source), "-o", str(program)], check=True)
    ran = subprocess.run([*emulator, str(program)], capture_output=True, text=True)
    assert ran.stdout == "720 cases, 0 wrong\n"
    assert ran.returncode == 0


def test_a_library_of_another_version_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    assert kernel._load("baseline").lk_interface() == kernel.INTERFACE
    monkeypatch.setattr(kernel, "INTERFACE", kernel.INTERFACE + 1)
    with pytest.raises(kernel.KernelUnavailable, match="was built from another version of lykeion"):
        kernel._load("baseline")
