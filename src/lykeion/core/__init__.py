"""What every room may use: errors, digests, files, documents, locks, journals, run directories, reporters."""

from .cores import core_count, usable_cores
from .digest import digest_bytes, digest_file, digest_json
from .directories import cache_directory, data_directory, kept_directory
from .documents import (
    fitting,
    json_value,
    parse_json,
    read_bounded,
    read_json,
    read_json_as,
    read_yaml,
    read_yaml_documents,
)
from .errors import (
    Conflict,
    Invalid,
    LykeionError,
    NotFound,
    Refused,
    Unavailable,
    Unsupported,
    first_line,
    os_reason,
)
from .exit_codes import DONE_BUT, ERROR, READER_GONE, STOPPED, TEMPORARY_CODE, errors_as_exit_codes
from .files import copy_tree, fsync_directory, write_atomically, writing
from .heap import retain_memory
from .journal import Journal
from .lock import FileLock, Locked, LockError, locked
from .loopback import is_loopback
from .reporting import CONSOLE, SILENT, ConsoleReporter, Progress, Reporter
from .run_directory import claim_run, working_in
from .stopping import Interrupted, stop_here, stop_signals
from .terminal import VisibleFormatter, print_line, visible, visible_json

__all__ = [
    "CONSOLE", "DONE_BUT", "ERROR", "READER_GONE", "SILENT", "STOPPED", "TEMPORARY_CODE", "Conflict",
    "ConsoleReporter", "FileLock", "Interrupted", "Invalid", "Journal", "LockError", "Locked", "LykeionError",
    "NotFound", "Progress", "Refused", "Reporter", "Unavailable", "Unsupported", "VisibleFormatter",
    "cache_directory", "claim_run", "copy_tree",
    "core_count", "data_directory", "digest_bytes", "digest_file", "digest_json", "errors_as_exit_codes",
    "first_line", "fitting", "fsync_directory", "is_loopback", "json_value", "kept_directory", "locked",
    "os_reason", "parse_json", "print_line", "read_bounded", "read_json", "read_json_as", "read_yaml",
    "read_yaml_documents", "retain_memory", "stop_here", "stop_signals", "usable_cores", "visible",
    "visible_json", "working_in", "write_atomically", "writing",
]  # fmt: skip
