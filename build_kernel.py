"""Build hook: compiles the native search kernel, one library for each instruction set.

The compiler is $CXX, else c++ where it is installed, else the one in the PyPI package ziglang, which the hook then
asks for; so a plain `pip install` of the source works on a machine without a compiler. The libraries have a plain C
interface and do not depend on the Python version: the wheel is tagged py3-none-<platform>.
"""

import os
import platform
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NATIVE = "src/lykeion/search/index/segment/native"
FLAGS = ["-O3", "-std=c++17", "-fPIC", "-fvisibility=hidden", "-fno-math-errno", "-shared", "-Wno-uninitialized"]
TARGETS = {
    "x86_64": {"baseline": ["-march=x86-64-v3"], "avx512": ["-march=x86-64-v4", "-mavx512vnni"]},
    "aarch64": {"baseline": []},
}


def compiler() -> list[str] | None:
    if cxx := os.environ.get("CXX"):
        return cxx.split()
    if shutil.which("c++"):
        return ["c++"]
    return None


class KernelBuildHook(BuildHookInterface):
    def dependencies(self) -> list[str]:
        return [] if compiler() else ["ziglang>=0.13"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name != "wheel":
            return
        machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower(), platform.machine().lower())
        if machine not in TARGETS:
            raise RuntimeError(f"lykeion's search kernel supports {', '.join(TARGETS)}, not {machine}")
        suffix = ".dylib" if sys.platform == "darwin" else ".so"
        command = compiler() or [sys.executable, "-m", "ziglang", "c++"]
        zig = "zig" in " ".join(command)  # which writes x86_64_v3
        for name, flags in TARGETS[machine].items():
            flags = [flag.replace("x86-64-v", "x86_64_v") for flag in flags] if zig else flags
            library = Path(self.root, NATIVE, f"kernel_{name}{suffix}")
            source = Path(self.root, NATIVE, "kernel.cpp")
            if not library.exists() or library.stat().st_mtime < max(
                file.stat().st_mtime for file in (source, source.with_suffix(".h"))
            ):
                temporary = library.with_suffix(f".{os.getpid()}.tmp")
                subprocess.run([*command, *FLAGS, *flags, str(source), "-o", str(temporary)], check=True)
                temporary.replace(library)
            build_data["artifacts"].append(f"{NATIVE}/{library.name}")
        build_data["pure_python"] = False
        tag = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["tag"] = f"py3-none-{tag}"
