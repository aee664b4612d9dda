"""An image started on this machine without a container engine: unshare(1), a mount namespace, and chroot.

The root file system is read-only, /tmp is new and empty, and the network is the host's. This is for testing that an
image starts; it is not a security boundary. The program's variables are passed in an anonymous file, since arguments
of processes can be read by every user.
"""

import os
import platform as host
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from lykeion.core import CONSOLE, Reporter, Unsupported
from lykeion.images.errors import ImageError
from lykeion.images.image import manifest_for, read_config
from lykeion.images.layers.layer_files import resolve
from lykeion.images.layers.unpack import LinksOnDisk
from lykeion.images.python.interpreter import MACHINES
from lykeion.oci import Descriptor, Layout, Platform

from .image_roots import unpacked_root
from .image_volumes import Volume, give_to
from .program_variables import variables_file
from .sandbox import MOUNTED, Mount, Start, can_start_images, sandbox

FROM_HOST = ("etc/hosts", "etc/resolv.conf")


def run(
    layout: Layout,
    image: Descriptor,
    arguments: Sequence[str] = (),
    *,
    entrypoint: str = "",
    workdir: str = "",
    environment: Mapping[str, str] | None = None,
    volumes: Sequence[Volume] = (),
    reporter: Reporter = CONSOLE,
) -> NoReturn:
    """Replace this process by the image's program.

    ``arguments`` replace the image's command; ``entrypoint`` and ``arguments``, its entrypoint and command.
    Layers are unpacked once and cached. Raises ImageError, ContentError, and Unsupported if the host cannot do it.
    """
    if not can_start_images():
        raise Unsupported(
            "images run on Linux with unshare (util-linux), as root or where users may make namespaces; elsewhere "
            "push the image to a container engine"
        )
    architectures = {machine: architecture for architecture, machine in MACHINES.items()}
    platform = Platform("linux", architectures.get(host.machine(), host.machine()))
    with layout.lock_content():  # prune removes no layer before it is unpacked
        descriptor, manifest = manifest_for(layout, image, platform)
        settings: dict[str, Any] = read_config(layout, manifest)["config"]
        root = unpacked_root(layout, descriptor.digest, manifest, reporter=reporter)
    if entrypoint:
        settings = {**settings, "Entrypoint": [entrypoint], "Cmd": []}
    if workdir:
        settings = {**settings, "WorkingDir": workdir}
    start = prepare(root, settings, arguments, environment or {}, volumes)
    if os.geteuid() == 0:
        for each in (volume for volume in volumes if volume.owned):
            give_to(start.user, each.origin)
    command = sandbox(start, variables_file(start.environment), rootless=os.geteuid() != 0)
    sys.stdout.flush()
    os.execv(command[0], command)  # noqa: S606  (the program takes our place: its signals and exit code are its own)


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
    if any("\0" in it for it in settings.get("Env") or ()):
        raise ImageError("a variable of the image contains NUL")
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
