"""Libraries that write to standard error and have no switch for it."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_lines(*starts: bytes) -> Iterator[None]:
    """Lines that begin so and are written to standard error meanwhile are dropped; all others appear at the end."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as caught:
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
