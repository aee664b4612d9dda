"""A model's first run, in a process of its own: whether it works, how long it takes, how much memory.

LiteRT verifies that a file is a sound flatbuffer, not that the network in it makes sense: a convolution without its
bias, or options of another operator, can crash the process that loads it. A file from elsewhere is therefore tried
where a crash, endless work or a want of memory harms nobody. A new process is also what a cold start is.
"""

import contextlib
import json
import re
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from lykeion.core import LykeionError

from .kinds import find_kind
from .protocol import ModelError

MEMORY_BYTES = 8 << 30
TIME_S = 60


@dataclass(frozen=True, slots=True)
class FirstRun:
    """Of one engine in a new process, its package imported: loading the model, and the first run on zeros.

    ``memory_bytes`` is what these took at their peak, beyond what the process had before; 0 where the system does
    not say.
    """

    load_ms: float
    run_ms: float
    memory_bytes: int


def try_model(model: bytes, name: str, *, kind: str = "litert", threads: int = 1) -> FirstRun:
    """Load a ``.tflite`` file's bytes into an engine and run it on zeros. Raises ModelError, which calls it ``name``,
    also where the engine does not support it."""
    try:
        child = subprocess.run(
            [sys.executable, "-m", __name__, kind, str(threads), name],
            input=model,
            capture_output=True,
            timeout=TIME_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ModelError(f"{name}: one run of the model takes more than {TIME_S} s") from None
    if child.returncode < 0:
        cause, title = signal.Signals(-child.returncode).name, "LiteRT" if kind.startswith("litert") else kind
        raise ModelError(f"{name}: the model crashes {title} ({cause}): it is damaged, or made to do harm")
    if child.returncode:
        lines = child.stderr.decode(errors="replace").strip().splitlines()
        raise ModelError(lines[-1] if lines else f"{name}: not a model that can run here")
    return FirstRun(**json.loads(child.stdout.splitlines()[-1]))


def main() -> None:
    kind, threads, name = find_kind(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    with contextlib.suppress(ImportError, ValueError, OSError):  # not every system has the limit
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    model = sys.stdin.buffer.read()
    try:
        kind.imported()
        before, began = _begin_peak(), time.perf_counter()
        engine = kind.load(model, threads=threads, name=name)
        loaded = time.perf_counter()
        first = engine.inputs[0]
        batch = np.zeros([max(size, 1) for size in first.shape], first.dtype)
        ready = time.perf_counter()
        engine.run(batch)
        ran = time.perf_counter()
    except LykeionError as error:
        sys.exit(str(error))
    taken = max(0, _peak_bytes() - before)
    first_run = FirstRun(load_ms=1e3 * (loaded - began), run_ms=1e3 * (ran - ready), memory_bytes=taken)
    print(json.dumps(asdict(first_run)))


_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def _begin_peak() -> int:
    """Memory now, from which the peak is counted anew (Linux)."""
    with contextlib.suppress(OSError):
        _CLEAR.write_text("5")
    return _peak_bytes()


def _peak_bytes() -> int:
    """The peak of resident memory. Not getrusage's, which a process inherits from the one that started it."""
    with contextlib.suppress(OSError):
        if match := re.search(r"VmHWM:\s+(\d+) kB", _STATUS.read_text()):
            return int(match[1]) << 10
    return 0


if __name__ == "__main__":
    main()
