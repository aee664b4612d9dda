"""The accelerators of this machine: NVIDIA's, as its driver lists them.

https://download.nvidia.com/XFree86/Linux-x86_64/580.95.05/README/procinterface.html
"""

import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_FAMILIES = frozenset(("nvidia", "tesla", "geforce", "quadro"))
_QUERY = ("--query-gpu=uuid,name", "--format=csv,noheader")
ASK_LIMIT_S = 30.0


@dataclass(frozen=True)
class Accelerator:
    """``identifier`` is what ``CUDA_VISIBLE_DEVICES`` names it by; ``type`` such as ``t4`` or ``a100-sxm4-80gb``."""

    identifier: str
    type: str

    def is_a(self, type_: str) -> bool:
        """Whether it is of a type, or of a variant of it: an ``a100-sxm4-80gb`` is an ``a100``."""
        return self.type == type_ or self.type.startswith(f"{type_}-")


def find_accelerators(root: Path = Path("/"), visible: str | None = None) -> tuple[Accelerator, ...]:
    """All, or those that ``visible`` selects as ``CUDA_VISIBLE_DEVICES`` does: by number or beginning of the UUID.

    ``root`` holds the ``proc`` to read.
    """
    recorded = sorted((root / "proc/driver/nvidia/gpus").glob("*/information"))
    found = [_recorded(path.read_text()) for path in recorded]
    if not found or not all(re.fullmatch(r"GPU-[0-9a-f-]+", each.identifier) for each in found):
        found = asked_accelerators(shutil.which("nvidia-smi"))
    if visible is None:
        return tuple(found)
    names = [each.strip() for each in visible.split(",") if each.strip()]
    return tuple(each for number, each in enumerate(found) if _selects(names, number, each))


def asked_accelerators(program: str | None) -> list[Accelerator]:
    """Those that ``nvidia-smi`` lists; none if it is missing or fails, as it does without a driver."""
    if program is None:
        return []
    try:
        done = subprocess.run([program, *_QUERY], capture_output=True, text=True, timeout=ASK_LIMIT_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    rows = (line.partition(",") for line in done.stdout.splitlines() if line.startswith("GPU-"))
    return [Accelerator(uuid.strip(), _type(name)) for uuid, _, name in rows]


def _recorded(information: str) -> Accelerator:
    pairs = (line.partition(":") for line in information.splitlines())
    values = {name.strip(): value.strip() for name, _, value in pairs}
    return Accelerator(values.get("GPU UUID", ""), _type(values.get("Model", "")))


def _type(model: str) -> str:
    """``NVIDIA A100-SXM4-80GB`` as ``a100-sxm4-80gb``, ``Tesla T4`` as ``t4``."""
    return "-".join(word for word in re.findall("[a-z0-9]+", model.lower()) if word not in _FAMILIES)


def _selects(names: Iterable[str], number: int, accelerator: Accelerator) -> bool:
    return any(name == str(number) or accelerator.identifier.startswith(name) for name in names)
