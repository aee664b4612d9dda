"""What libraries may print: warnings and errors, but no start-up messages.

OpenVINO, JAX and Faiss print none; matplotlib logs warnings about its font cache. TensorFlow has an environment
variable for them, but prints some before it reads it, and LiteRT has none: their lines are dropped by prefix.
"""

import atexit
import logging
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

    These ``variables`` and TensorFlow's log level are set during the import unless the environment has them already:
    the libraries read them once. With ``TF_CPP_MIN_LOG_LEVEL=0`` everything is printed.
    """
    lines = () if os.environ.get(_TENSORFLOW_LEVEL) == "0" else _TENSORFLOW
    lacking = {name: value for name, value in {_TENSORFLOW_LEVEL: "2", **variables}.items() if name not in os.environ}
    if lines:
        logging.getLogger("tensorflow").addFilter(_is_not_advice)
    with without_lines(*lines):
        os.environ.update(lacking)
        try:
            yield
        finally:
            for name in lacking:
                os.environ.pop(name, None)


def _is_not_advice(record: logging.LogRecord) -> bool:
    """False for TensorFlow's advice against repeated tracing: each network in a process has to be traced."""
    return "triggered tf.function retracing" not in str(record.msg)


def quiet_matplotlib() -> None:
    """Before matplotlib is imported: no warnings that its font cache is slow or temporary, as on a read-only root."""
    if not (logger := logging.getLogger("matplotlib")).level:
        logger.setLevel(logging.ERROR)


@contextmanager
def without_lines(*starts: bytes) -> Generator[None]:
    """Drops lines with these prefixes that are written to standard error inside; all others are printed at the end.

    One thread at a time, since a process has one standard error.
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
    """Discard standard error when Python exits: LiteRT's CompiledModel writes to it even later."""
    atexit.register(lambda: os.dup2(os.open(os.devnull, os.O_WRONLY), 2))
