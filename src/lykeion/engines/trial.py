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
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from lykeion.core import LykeionError

from .kinds import Kind, find_kind
from .machine import pinned
from .protocol import ModelError
from .timing import Plan, run_pass

MEMORY_BYTES = 8 << 30
TIME_S = 60
_ROUGH = Plan(warm_up_s=0.002, sample_s=0.02, least=1)


@dataclass(frozen=True, slots=True)
class FirstRun:
    """Of one engine in a new process, its package imported: loading the model, and the first run on zeros.

    ``rough_ms`` is the least of the few runs after it. ``memory_bytes`` is what all took at their peak, beyond what
    the process had before; 0 where the system does not say.
    """

    load_ms: float
    run_ms: float
    rough_ms: float
    memory_bytes: int


def try_model(model: bytes, name: str, *, kind: str = "litert", threads: int = 1) -> FirstRun:
    """Load a ``.tflite`` file's bytes into an engine and run it on zeros. Raises ModelError, which calls it ``name``,
    also where the engine does not support it."""
    return try_threads(model, name, kind, (threads,))[threads]


def try_threads(model: bytes, name: str, kind: str, counts: Sequence[int]) -> dict[int, FirstRun]:
    """The same for several numbers of threads, one after the other in one process: only the first starts cold."""
    try:
        child = subprocess.run(
            [sys.executable, "-m", __name__, kind, ",".join(map(str, counts)), name],
            input=model,
            capture_output=True,
            timeout=TIME_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ModelError(f"{name}: a few runs of the model take more than {TIME_S} s") from None
    if child.returncode < 0:
        cause, title = signal.Signals(-child.returncode).name, "LiteRT" if kind.startswith("litert") else kind
        raise ModelError(f"{name}: the model crashes {title} ({cause}): it is damaged, or made to do harm")
    if child.returncode:
        lines = child.stderr.decode(errors="replace").strip().splitlines()
        raise ModelError(lines[-1] if lines else f"{name}: not a model that can run here")
    found = json.loads(child.stdout.splitlines()[-1])
    return {count: FirstRun(**run) for count, run in zip(counts, found, strict=True)}


def main() -> None:
    kind, counts, name = find_kind(sys.argv[1]), map(int, sys.argv[2].split(",")), sys.argv[3]
    with contextlib.suppress(ImportError, ValueError, OSError):  # not every system has the limit
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    model = sys.stdin.buffer.read()
    try:
        kind.imported()
        print(json.dumps([asdict(_first_run(kind, model, name, count)) for count in counts]))
    except LykeionError as error:
        sys.exit(str(error))


def _first_run(kind: Kind, model: bytes, name: str, threads: int) -> FirstRun:
    with pinned(threads):
        before, began = _begin_peak(), time.perf_counter()
        engine = kind.load(model, threads=threads, name=name)
        loaded = time.perf_counter()
        first = engine.inputs[0]
        batch = np.zeros([max(size, 1) for size in first.shape], first.dtype)
        ready = time.perf_counter()
        engine.run(batch)
        ran = time.perf_counter()
        rough = run_pass(engine.ready(batch), _ROUGH, time.perf_counter_ns)
        taken = max(0, _peak_bytes() - before)
        engine.close()
    return FirstRun(1e3 * (loaded - began), 1e3 * (ran - ready), rough.minimum_ms, taken)


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
