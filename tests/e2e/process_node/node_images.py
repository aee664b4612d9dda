"""Images of containers: this machine's own environment, a layout's, or a registry's."""

import os
import platform as host
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lykeion.core import SILENT, LykeionError
from lykeion.images.image import find_image, manifest_for, open_image_layout, read_config
from lykeion.images.python.interpreter import MACHINES
from lykeion.images.registries import image_reference, pull_image
from lykeion.images.running.image_roots import unpacked_root
from lykeion.oci import Platform

HOST = "host.local/"
LAYOUT = "layout.local/"
PYTHON_PATH = "HOST_IMAGE_PYTHONPATH"
"""A variable of the node: the PYTHONPATH of this machine's image on it, such as that of another build."""


class PullError(Exception):
    """Why an image cannot be pulled: ErrImagePull."""


@dataclass(frozen=True)
class NodeImage:
    """``root`` is a directory with its files. ``bind`` are further file systems in it, ``opened`` directories of it
    that are let to be read by everybody."""

    digest: str
    root: Path
    entrypoint: Sequence[str] = ()
    command: Sequence[str] = ()
    environment: dict[str, str] = field(default_factory=dict)
    user: str = ""
    directory: str = "/"
    bind: Sequence[str] = ()
    opened: Sequence[str] = ()


def pull(name: str, layout: Path) -> NodeImage:
    """``host.local/ANY`` is this machine with its Python, for the user that a tag names; ``layout.local/NAME:TAG``
    lies in ``layout``; anything else is pulled from its registry, if it is not there yet. Raises PullError.
    """
    if name.startswith(HOST):
        tag = name.rpartition(":")[2]
        return _host_image(tag if tag.isdecimal() else "")
    try:
        images = open_image_layout(layout, create=True)
        if name.startswith(LAYOUT):
            image = find_image(images, name.removeprefix(LAYOUT))
        else:
            image = pull_image(image_reference(name), images, ref=None, attached=False, reporter=SILENT)
        machine = {machine: architecture for architecture, machine in MACHINES.items()}[host.machine()]
        with images.lock_content():
            descriptor, manifest = manifest_for(images, image, Platform("linux", machine))
            settings: dict[str, Any] = read_config(images, manifest)["config"]
            root = unpacked_root(images, descriptor.digest, manifest, reporter=SILENT)
    except LykeionError as error:
        raise PullError(f'failed to pull and unpack image "{name}": {error}') from None
    pairs = (it.partition("=") for it in settings.get("Env") or ())
    return NodeImage(
        digest=image.digest,
        root=root,
        entrypoint=settings.get("Entrypoint") or (),
        command=settings.get("Cmd") or (),
        environment={key: value for key, _, value in pairs},
        user=settings.get("User") or "",
        directory=settings.get("WorkingDir") or "/",
    )


def _host_image(user: str) -> NodeImage:
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "LANG") if name in os.environ}
    kept |= {"PYTHONPATH": os.environ[PYTHON_PATH]} if PYTHON_PATH in os.environ else {}
    path = f"{Path(sys.executable).parent}:{kept.get('PATH', os.defpath)}"
    return NodeImage(
        digest="sha256:" + "0" * 64,
        root=Path("/"),
        command=("sleep", "infinity"),
        user=user,
        environment={**kept, "PATH": path},
        bind=_file_systems(),
        opened=_closed_above(
            sys.executable, sys.prefix, sys.base_prefix, *sys.path, *kept.get("PYTHONPATH", "").split(":")
        ),
    )


def _file_systems() -> list[str]:
    """Mount points that an overlay of / does not show, other than those that every container has of its own."""
    lines = Path("/proc/self/mounts").read_text().splitlines()
    places = [line.split()[1].encode().decode("unicode_escape") for line in lines]
    own = ("/proc", "/sys", "/dev", "/run")
    return [it for it in dict.fromkeys(places) if it != "/" and not it.startswith(own) and Path(it).is_dir()]


def _closed_above(*paths: str) -> list[str]:
    """Directories above those paths that other users may not read."""
    parents = {parent for path in paths if path for it in (Path(path), Path(path).resolve()) for parent in it.parents}
    return sorted(str(it) for it in parents if it.is_dir() and it.stat().st_mode & 0o055 != 0o055)
