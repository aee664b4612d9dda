"""Libraries that write to standard error and have no switch for it."""

import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_ONE = threading.RLock()


@contextmanager
def without_lines(*starts: bytes) -> Iterator[None]:
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
