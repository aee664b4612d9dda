"""What every command's exit code means (docs/exit-codes.md), and the one place where an error becomes one."""

import sys
from collections.abc import Generator
from contextlib import contextmanager

from .errors import LykeionError
from .terminal import print_line

DONE = 0
ERROR = 2
"""The command was not understood or could not be carried out; standard error says why in one line."""
DONE_BUT = 3
"""The work is done, but something was skipped, not found or damaged."""
STOPPED = 130
"""A signal stopped the work; where it can be resumed, the line on standard error says how."""


@contextmanager
def errors_as_exit_codes() -> Generator[None]:
    """A LykeionError inside becomes one line on standard error and ends the program; no traceback."""
    try:
        yield
    except LykeionError as error:
        print_line(f"error: {error}", err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(STOPPED)
