"""What the C library does with memory between two steps."""

import ctypes
import sys

# mallopt(3): names of options, and the most that the second may be.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_NEVER, _LARGEST = 2**31 - 1, 32 * 2**20


def retain_memory() -> None:
    """Have glibc keep what one step frees for the next; elsewhere nothing is done.

    TensorFlow (2.21, for one) asks glibc to give memory back at once whenever it makes a dataset of a Python
    generator, as Keras' ``fit`` does: every tensor of 128 KiB or more is then mapped, faulted in page by page and
    unmapped again, each step. To be called once such a dataset is there, that is, after the first step.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt:
        mallopt(_TRIM_THRESHOLD, _NEVER)
        mallopt(_MMAP_THRESHOLD, _LARGEST)
