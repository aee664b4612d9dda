"""The command that starts a program in an image: unshare(1), mount(8) in a shell, and ``enter_root``."""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from . import enter_root

MOUNTED = ("proc", "dev", "tmp")


@dataclass(frozen=True)
class Mount:
    """``place`` is relative to the root file system, with links resolved."""

    origin: Path
    place: str
    read_only: bool


@dataclass(frozen=True)
class Start:
    """What to start: everything that the sandbox needs, without access to the image."""

    root: Path
    command: tuple[str, ...]
    environment: Mapping[str, str]
    user: str
    workdir: str
    mounts: tuple[Mount, ...] = ()
    places: Mapping[str, str] = field(default_factory=lambda: {name: name for name in MOUNTED})
    """Where in the root, its links followed, each of ``MOUNTED`` is."""


def can_start_images() -> bool:
    """Whether this machine is Linux with unshare(1), and lets this user make mount namespaces."""
    if sys.platform != "linux" or not shutil.which("unshare"):
        return False
    return subprocess.run([*_unshare(rootless=os.geteuid() != 0), "true"], capture_output=True).returncode == 0


def sandbox(start: Start, variables: int, *, rootless: bool) -> list[str]:
    """The command that starts it, with the descriptor ``variables``.

    Without root a user namespace gives permission to mount, and nothing more.
    """
    return [*_unshare(rootless=rootless), "/bin/sh", "-c", mount_script(start, variables, rootless=rootless)]


def _unshare(*, rootless: bool) -> list[str]:
    outer = ["--user", "--map-root-user"] if rootless else []
    return [_tool("unshare"), *outer, "--mount", "--propagation", "private", "--"]


def mount_script(start: Start, variables: int, *, rootless: bool) -> str:
    """Runs in the new mount namespace and ends with the image's program."""
    root = start.root
    proc, dev, tmp = (root / start.places[name] for name in MOUNTED)
    lines = [
        "set -e",
        _line("mount", "--bind", root, root),
        _line("mount", "-t", "tmpfs", "-o", "mode=1777,nosuid,nodev", "tmpfs", tmp),
        _line("mount", "--rbind", "/proc", proc),
        _line("mount", "--rbind", "/dev", dev),
    ]
    for mount in start.mounts:
        if (place := root / mount.place).is_relative_to(tmp):
            lines.append(_line("mkdir", "-p", place if mount.origin.is_dir() else place.parent))
            lines += [] if mount.origin.is_dir() else [_line("touch", place)]
        lines.append(_line("mount", "--bind", mount.origin, place))
        if mount.read_only:
            lines.append(_line("mount", "-o", "remount,bind,ro,nosuid,nodev", place))
    lines += [
        _line("mount", "-o", "remount,bind,ro,nosuid,nodev", root),
        _line(
            *("exec", _tool("env"), "-i", sys.executable, "-I", "-S", enter_root.__file__),
            *("rootless" if rootless else "root", root, start.workdir, *start.user.split(":"), variables),
            *start.command,
        ),
    ]
    return "\n".join(lines)


def _line(*words: object) -> str:
    return shlex.join(map(str, words))


def _tool(name: str) -> str:
    return shutil.which(name) or name
