"""Errors that a user can cause or fix: one line that says what is wrong, where, and what to do.

Each belongs to a family below, or to none where a caller could not do anything about it. Servers choose a status by
family, so an error that is added later needs no change there.
"""


class LykeionError(Exception):
    """Base of every error meant for users. ``str()`` is one line; the command exits with ``exit_code``."""

    exit_code = 2
    temporary = True
    """Whether the same call may succeed later."""


class Invalid(LykeionError):
    """The input cannot be used: malformed, out of range, or incompatible."""

    temporary = False


class NotFound(LykeionError):
    """Nothing of that name exists."""


class Conflict(LykeionError):
    """Something is in another state than the caller expects; nothing was changed."""

    temporary = True


class Refused(LykeionError):
    """The caller is not allowed to do this: a credential, a permission or a policy prevents it."""

    temporary = False


class Unavailable(LykeionError):
    """What is needed cannot be reached, read or written now; the same call may succeed later."""


class Unsupported(LykeionError):
    """This implementation of a protocol lacks the operation; it never silently behaves differently."""

    temporary = False


def os_reason(error: OSError, path: object = "") -> str:
    """The file, ``path`` where the system names none, and what it says of it: ``shop.index/LOCK: Read-only …``."""
    where = error.filename2 or error.filename or path
    return f"{where}: " * bool(where) + str(error.strerror or first_line(error))


def first_line(error: BaseException) -> str:
    """A library's error message in one line of at most 300 characters; its type if the message is empty."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:300] if lines else type(error).__name__
