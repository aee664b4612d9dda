"""An image started on this machine without a container engine: unshare(1), a mount namespace, and chroot.

The root file system is read-only, /tmp is new and empty, and the network is the host's. This is for testing that an
image starts; it is not a security boundary.
"""

import os
import platform as host
import re
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from lykeion.core import CONSOLE, Reporter, Unavailable, Unsupported, cache_directory, writing
from lykeion.oci import Descriptor, Layout, Platform

from . import enter_root
from .errors import ImageError
from .image import image_layers, manifest_for, read_config
from .layers.layer_files import resolve
from .layers.unpack import LinksOnDisk, unpack
from .python.interpreter import MACHINES

ROOTS = "images/roots"
"""In the cache directory: unpacked images."""
MOUNTED = ("proc", "dev", "tmp")
FROM_HOST = ("etc/hosts", "etc/resolv.conf")


@dataclass(frozen=True)
class Volume:
    """The host's ``origin`` is mounted at ``to`` in the image."""

    origin: Path
    to: str
    read_only: bool = False

    @classmethod
    def parse(cls, text: str) -> "Volume":
        """``HOST:IMAGE`` or ``HOST:IMAGE:ro``. Raises ImageError."""
        origin, _, rest = text.partition(":")
        to, _, mode = rest.partition(":")
        if not origin or not to.startswith("/") or mode not in ("", "ro", "rw") or ".." in Path(to).parts:
            raise ImageError(f"{text!r} is not a volume; write HOST_PATH:IMAGE_PATH, and :ro to forbid writing")
        if not Path(origin).exists():
            raise ImageError(f"volume {text!r}: {origin} does not exist")
        return cls(Path(origin).absolute(), to, mode == "ro")


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


def run(
    layout: Layout,
    image: Descriptor,
    arguments: Sequence[str] = (),
    *,
    environment: Mapping[str, str] | None = None,
    volumes: Sequence[Volume] = (),
    reporter: Reporter = CONSOLE,
) -> NoReturn:
    """Replace this process by the image's program. ``arguments`` replace the image's command.

    Layers are unpacked once and cached. Raises ImageError, ContentError, and Unsupported if the host cannot do it.
    """
    if sys.platform != "linux" or not shutil.which("unshare"):
        raise Unsupported(
            "images run on Linux with unshare (util-linux); elsewhere push the image to a container engine"
        )
    root, config = unpacked(layout, image, reporter=reporter)
    start = prepare(root, config["config"], arguments, environment or {}, volumes)
    command = sandbox(start, rootless=os.geteuid() != 0)
    sys.stdout.flush()
    os.execv(command[0], command)  # noqa: S606  (the program takes our place: its signals and exit code are its own)


def unpacked(layout: Layout, image: Descriptor, *, reporter: Reporter = CONSOLE) -> tuple[Path, dict[str, Any]]:
    """The image's files for this machine, and its configuration."""
    architectures = {machine: architecture for architecture, machine in MACHINES.items()}
    platform = Platform("linux", architectures.get(host.machine(), host.machine()))
    descriptor, manifest = manifest_for(layout, image, platform)
    config = read_config(layout, manifest)
    root = cache_directory() / ROOTS / descriptor.digest.removeprefix("sha256:")
    if not root.exists():
        with writing(root, Unavailable, "set LYKEION_HOME to another directory"):
            root.parent.mkdir(parents=True, exist_ok=True)
            root.parent.chmod(0o700)  # the contents of an image are private to this user
        unpack(layout, image_layers(layout, manifest), root, reporter=reporter)
    return root, config


def prepare(
    root: Path,
    settings: Mapping[str, Any],
    arguments: Sequence[str],
    environment: Mapping[str, str],
    volumes: Sequence[Volume],
) -> Start:
    """Read an image's settings, and create mount points. Raises ImageError."""
    command = [*(settings.get("Entrypoint") or ()), *(arguments or settings.get("Cmd") or ())]
    if not command:
        raise ImageError("the image has no command; give one after the image's name")
    pairs = (it.partition("=") for it in settings.get("Env") or ())
    image_environment = {key: value for key, _, value in pairs if key}
    places = {name: _make(root, name, directory=True) for name in MOUNTED}
    wanted = [Volume(Path("/", name), name, read_only=True) for name in FROM_HOST if Path("/", name).is_file()]
    return Start(
        root=root,
        command=tuple(command),
        environment={"HOME": "/", **image_environment, **environment},
        user=_numeric(settings.get("User") or "0:0"),
        workdir=settings.get("WorkingDir") or "/",
        mounts=tuple(
            Mount(it.origin, _make(root, it.to, directory=it.origin.is_dir()), it.read_only)
            for it in (*wanted, *volumes)
        ),
        places=places,
    )


def sandbox(start: Start, *, rootless: bool) -> list[str]:
    """The command that starts it. Without root a user namespace gives permission to mount, and nothing more."""
    outer = ["--user", "--map-root-user"] if rootless else []
    return [
        *(_tool("unshare"), *outer, "--mount", "--propagation", "private", "--"),
        *("/bin/sh", "-c", mount_script(start, rootless=rootless)),
    ]


def mount_script(start: Start, *, rootless: bool) -> str:
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
        lines.append(_line("mount", "--bind", mount.origin, root / mount.place))
        if mount.read_only:
            lines.append(_line("mount", "-o", "remount,bind,ro,nosuid,nodev", root / mount.place))
    lines += [
        _line("mount", "-o", "remount,bind,ro,nosuid,nodev", root),
        _line(
            *("exec", _tool("env"), "-i", sys.executable, "-I", "-S", enter_root.__file__),
            *("rootless" if rootless else "root", root, start.workdir, *start.user.split(":")),
            *(len(start.environment), *(f"{name}={value}" for name, value in sorted(start.environment.items()))),
            *start.command,
        ),
    ]
    return "\n".join(lines)


def _line(*words: object) -> str:
    return shlex.join(map(str, words))


def _tool(name: str) -> str:
    return shutil.which(name) or name


def _numeric(user: str) -> str:
    """``UID:GID`` in digits; names are not looked up. Raises ImageError."""
    uid, _, gid = user.partition(":")
    if not re.fullmatch(r"[0-9]{1,10}(:[0-9]{0,10})?", user):
        raise ImageError(f"the image's user is {user[:60]!r}; only numeric users are supported")
    return f"{uid}:{gid or uid}"


def _make(root: Path, path: str, *, directory: bool) -> str:
    """Create a mount point if it does not exist; returns its path relative to ``root``, with links resolved.

    Raises ImageError if the image has something else there.
    """
    place = resolve(path, LinksOnDisk(root))
    full = root / place
    try:
        if directory:
            full.mkdir(parents=True, exist_ok=True)
        elif not full.exists():
            full.parent.mkdir(parents=True, exist_ok=True)
            full.touch()
    except OSError as error:
        raise ImageError(f"/{path.lstrip('/')}: cannot mount there: {error.strerror}") from None
    return place
