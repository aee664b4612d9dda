"""What every room may use: errors, digests, atomic files, locks, the state directory, progress."""

from .cores import usable_cores
from .digest import digest_bytes, digest_file, digest_json
from .errors import Conflict, Invalid, LykeionError, NotFound, Refused, Unavailable, Unsupported, first_line
from .files import fsync_directory, whole_lines, write_atomically, writing
from .lock import FileLock, Locked, LockError, locked
from .progress import Progress
from .state import state_directory

__all__ = [
    "Conflict",
    "FileLock",
    "Invalid",
    "LockError",
    "Locked",
    "LykeionError",
    "NotFound",
    "Progress",
    "Refused",
    "Unavailable",
    "Unsupported",
    "digest_bytes",
    "digest_file",
    "digest_json",
    "first_line",
    "fsync_directory",
    "locked",
    "state_directory",
    "usable_cores",
    "whole_lines",
    "write_atomically",
    "writing",
]
