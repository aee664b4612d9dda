"""Errors a person can cause or mend: one line that says what is wrong, where, and what to do."""


class LykeionError(Exception):
    """Base of every error meant for a person. ``str()`` is one line; the command exits with ``exit_code``."""

    exit_code = 2


class Unsupported(LykeionError):
    """This implementation of a protocol lacks the operation; it never behaves differently in silence."""


def first_line(error: BaseException) -> str:
    """What an error of a library says, in one line of at most 300 characters; its type where it says nothing."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:300] if lines else type(error).__name__
