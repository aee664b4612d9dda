"""Memory handling of the C library between training steps."""

import ctypes
import sys

# mallopt(3): options, and the maximum of the second.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_NEVER, _LARGEST = 2**31 - 1, 32 * 2**20


def retain_memory() -> None:
    """Make glibc keep freed memory for the next step; does nothing with other C libraries.

    TensorFlow (for example 2.21) makes glibc return memory at once whenever it creates a dataset from a Python
    generator, as Keras' ``fit`` does: every tensor of 128 KiB or more is then mapped, faulted in page by page and
    unmapped in each step. Call this after such a dataset was created, that is, after the first step.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt:
        mallopt(_TRIM_THRESHOLD, _NEVER)
        mallopt(_MMAP_THRESHOLD, _LARGEST)
