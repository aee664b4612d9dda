"""A model's first run, in a process of its own.

LiteRT verifies that a file is a sound flatbuffer, not that the network in it makes sense: a convolution without its
bias, or options of another operator, can crash the process that loads it. A file from elsewhere is therefore tried
where a crash, endless work or a want of memory harms nobody.
"""

import contextlib
import signal
import subprocess
import sys

import numpy as np

from .litert import LiteRTEngine
from .protocol import ModelError

MEMORY_BYTES = 8 << 30
TIME_S = 60


def try_model(model: bytes, name: str) -> None:
    """Load a ``.tflite`` file's bytes and run it on zeros. Raises ModelError, which calls it ``name``."""
    try:
        child = subprocess.run(
            [sys.executable, "-m", __name__, name], input=model, capture_output=True, timeout=TIME_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise ModelError(f"{name}: one run of the model takes more than {TIME_S} s") from None
    if child.returncode < 0:
        cause = signal.Signals(-child.returncode).name
        raise ModelError(f"{name}: the model crashes LiteRT ({cause}): it is damaged, or made to do harm")
    if child.returncode:
        lines = child.stderr.decode(errors="replace").strip().splitlines()
        raise ModelError(lines[-1] if lines else f"{name}: not a model that can run here")


def main() -> None:
    name = sys.argv[1]
    with contextlib.suppress(ImportError, ValueError, OSError):  # not every system has the limit
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    try:
        engine = LiteRTEngine(sys.stdin.buffer.read(), name=name)
        first = engine.inputs[0]
        engine.run(np.zeros([max(size, 1) for size in first.shape], first.dtype))
    except ModelError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
