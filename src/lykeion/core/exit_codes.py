"""The meaning of every command's exit code (docs/exit-codes.md), and the one place where errors become exit codes."""

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager

from .errors import LykeionError, os_reason
from .terminal import print_line

DONE = 0
ERROR = 2
"""The command was not understood or could not be carried out; standard error says why in one line."""
TEMPORARY_CODE = "LYKEION_TEMPORARY_CODE"
"""The variable with the exit code, in place of ERROR, of errors that may pass, for who runs a command again."""
DONE_BUT = 3
"""The work is done, but something was skipped, not found or damaged."""
READER_GONE = 141
"""The reader of standard output, such as ``head``, has closed it: a shell's code for SIGPIPE."""
STOPPED = 130
"""A signal stopped the work; where it can be resumed, the line on standard error says how."""


@contextmanager
def errors_as_exit_codes() -> Generator[None]:
    """A LykeionError or OSError inside is printed as one line on standard error, without a traceback, and exits."""
    try:
        yield
    except LykeionError as error:
        print_line(f"error: {error}", err=True)
        sys.exit(_temporary_code() if error.temporary and error.exit_code == ERROR else error.exit_code)
    except UnicodeEncodeError as error:  # an argument that is not UTF-8
        print_line(f"error: {error.object[:60]!a} is not valid UTF-8", err=True)
        sys.exit(ERROR)
    except OSError as error:  # raised where no module handles it: a directory that cannot be created, a full disk
        print_line(f"error: {os_reason(error)}", err=True)
        sys.exit(_temporary_code())
    except KeyboardInterrupt:
        sys.exit(STOPPED)


def _temporary_code() -> int:
    asked = os.environ.get(TEMPORARY_CODE, "")
    return int(asked) if asked.isdecimal() and int(asked) < 256 else ERROR
