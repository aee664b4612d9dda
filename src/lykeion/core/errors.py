"""Errors a person can cause or mend: one line that says what is wrong, where, and what to do.

Each belongs to a family below, or to none where nothing a caller does differently would help. Servers answer by
family, so that an error that is added later needs no line of theirs.
"""


class LykeionError(Exception):
    """Base of every error meant for a person. ``str()`` is one line; the command exits with ``exit_code``."""

    exit_code = 2


class Invalid(LykeionError):
    """What was given cannot be used: malformed, out of bounds, or unfit for what it meets."""


class NotFound(LykeionError):
    """There is nothing of that name."""


class Conflict(LykeionError):
    """Something stands in another state than the caller expects; nothing was changed."""


class Refused(LykeionError):
    """The caller may not do this: a credential, a permission or a policy is in the way."""


class Unavailable(LykeionError):
    """What is needed cannot be reached, read or written now; the same call may succeed later."""


class Unsupported(LykeionError):
    """This implementation of a protocol lacks the operation; it never behaves differently in silence."""


def os_reason(error: OSError, path: object = "") -> str:
    """The file, ``path`` where the system names none, and what it says of it: ``shop.index/LOCK: Read-only …``."""
    where = error.filename2 or error.filename or path
    return f"{where}: " * bool(where) + str(error.strerror or first_line(error))


def first_line(error: BaseException) -> str:
    """What an error of a library says, in one line of at most 300 characters; its type where it says nothing."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:300] if lines else type(error).__name__
