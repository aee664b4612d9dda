"""Become an image's program: the last step of a sandbox, run as a program by this machine's Python.

No program of this machine runs with the image's variables: its loader would take some of them for orders, such as
``LD_PRELOAD``. Nothing is imported once the root is the image's, where a module would be the image's own.
"""

import ctypes
import os
import signal
import sys
from typing import NoReturn

NEW_USER = 0x10000000
"""CLONE_NEWUSER of unshare(2), which Python has from 3.12 on."""


def main(rootless: str, root: str, workdir: str, uid: str, gid: str, variables: str, *command: str) -> NoReturn:
    """``variables`` is a descriptor from which NAME=VALUE are read, each ended by NUL; it is closed."""
    with os.fdopen(int(variables), "rb") as file:
        environment = dict(os.fsdecode(line).split("=", 1) for line in file.read().split(b"\0")[:-1])
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # which Python ignores, and a program would go on to
        signal.signal(number, signal.SIG_DFL)
    try:
        if rootless == "rootless":
            _map_to(int(uid), int(gid))
        os.chroot(root)
        os.chdir(workdir)
        if rootless != "rootless":
            os.setgroups([])
            os.setgid(int(gid))
            os.setuid(int(uid))
    except OSError as error:
        _end(f"{workdir if error.filename else 'user ' + uid}: {error.strerror}", 126)
    _execute(list(command), environment)


def _map_to(uid: int, gid: int) -> None:
    """Be this user in a user namespace, without further rights once a program is executed. Raises OSError."""
    library = ctypes.CDLL(None, use_errno=True)
    if library.unshare(NEW_USER):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    for name, text in (("setgroups", "deny"), ("gid_map", f"{gid} 0 1"), ("uid_map", f"{uid} 0 1")):
        descriptor = os.open(f"/proc/self/{name}", os.O_WRONLY)
        os.write(descriptor, text.encode())
        os.close(descriptor)


def _execute(command: list[str], environment: dict[str, str]) -> NoReturn:
    """As execvp(3) does, with the image's PATH."""
    name, reason, code = command[0], "not found", 127
    directories = [""] if "/" in name else environment.get("PATH", os.defpath).split(":")
    for directory in directories:
        try:
            os.execve(os.path.join(directory, name), command, environment)  # noqa: PTH118, S606
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            reason, code = str(error.strerror), 126
    _end(f"{name}: {reason}", code)


def _end(reason: str, code: int) -> NoReturn:
    os.write(2, f"error: {reason}\n".encode(errors="backslashreplace"))
    os._exit(code)


if __name__ == "__main__":
    main(*sys.argv[1:])
