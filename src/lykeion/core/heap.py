"""How much freed memory the C library keeps instead of returning it to the system."""

import ctypes
import sys

# mallopt(3): options, and the maximum of the second.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_NEVER, _LARGEST = 2**31 - 1, 32 * 2**20


def retain_memory(most_bytes: int = _NEVER) -> None:
    """Make glibc keep up to so much freed memory for what is allocated next; does nothing with other C libraries.

    By default it returns large blocks at once, and each of those allocated next is faulted in again page by page.
    Libraries may set this too, so call it after they have started.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt:
        mallopt(_TRIM_THRESHOLD, most_bytes)
        mallopt(_MMAP_THRESHOLD, _LARGEST)
