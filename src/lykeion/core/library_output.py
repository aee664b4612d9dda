"""What libraries may print by themselves: warnings and errors, but no greetings.

OpenVINO, JAX, Faiss and matplotlib print none. TensorFlow has a variable for it, which its first lines precede, and
LiteRT has none: their lines are dropped by how they begin.
"""

import atexit
import os
import sys
import tempfile
import threading
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache

LITERT_GREETING = b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU."
LITERT_COMPILED = (b"INFO:", b"WARNING: [npu_registry")
_TENSORFLOW = (b"WARNING: All log messages before absl::InitializeLog()", b"I0000 ", b"To enable the following instr")
_TENSORFLOW_LEVEL = "TF_CPP_MIN_LOG_LEVEL"

_ONE = threading.RLock()


@contextmanager
def quiet_import(**variables: str) -> Generator[None]:
    """Around the first import of TensorFlow, or of Keras, which imports it.

    Meanwhile the environment has these ``variables`` and TensorFlow's level of warnings, where it lacks them: the
    libraries read them once. Whoever sets ``TF_CPP_MIN_LOG_LEVEL`` to 0 sees all.
    """
    lines = () if os.environ.get(_TENSORFLOW_LEVEL) == "0" else _TENSORFLOW
    lacking = {name: value for name, value in {_TENSORFLOW_LEVEL: "2", **variables}.items() if name not in os.environ}
    with without_lines(*lines):
        os.environ.update(lacking)
        try:
            yield
        finally:
            for name in lacking:
                os.environ.pop(name, None)


@contextmanager
def without_lines(*starts: bytes) -> Generator[None]:
    """Lines that begin so and are written to standard error meanwhile are dropped; all others appear at the end.

    One thread at a time: there is one standard error.
    """
    with _ONE, tempfile.TemporaryFile() as caught:
        sys.stderr.flush()
        kept = os.dup(2)
        os.dup2(caught.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            caught.seek(0)
            for line in caught:
                if not line.startswith(starts):
                    os.write(2, line)


@cache
def without_last_words() -> None:
    """Close standard error when Python ends: LiteRT's CompiledModel writes to it even later, as the process exits."""
    atexit.register(lambda: os.dup2(os.open(os.devnull, os.O_WRONLY), 2))
