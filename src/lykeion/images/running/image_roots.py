"""Unpacked images in the cache directory, each locked by those who use it until they end."""

import shutil
from contextlib import suppress
from pathlib import Path

from lykeion.core import CONSOLE, FileLock, Locked, Reporter, Unavailable, cache_directory, locked, writing
from lykeion.images.image import image_layers
from lykeion.images.layers.unpack import unpack
from lykeion.oci import ImageManifest, Layout

ROOTS = "images/roots"


def unpacked_root(layout: Layout, digest: str, manifest: ImageManifest, *, reporter: Reporter = CONSOLE) -> Path:
    """The files of an image, which nobody removes until this process has ended and what it executes.

    Raises ContentError, LayerError, Unavailable.
    """
    root = cache_directory() / ROOTS / digest.removeprefix("sha256:")
    with writing(root, Unavailable, "set LYKEION_HOME to another directory"):
        root.parent.mkdir(parents=True, exist_ok=True)
        root.parent.chmod(0o700)  # the contents of an image are private to this user
    lock = FileLock(_lock_of(root), shared=True)
    lock.acquire()
    lock.keep_when_executing()
    if not root.exists():
        with locked(_turn_of(root)):
            if not root.exists():  # unpacked by another meanwhile
                unpack(layout, image_layers(layout, manifest), root, reporter=reporter)
    return root


def remove_unused_roots() -> None:
    """Remove the unpacked images that no program uses."""
    roots = cache_directory() / ROOTS
    names = {path.name.lstrip(".").partition(".")[0] for path in roots.iterdir()} if roots.is_dir() else set[str]()
    for root in (roots / name for name in names):
        lock = _lock_of(root)
        with suppress(Locked), locked(lock, wait=False):
            for path in (root, *roots.glob(f".{root.name}.*")):
                shutil.rmtree(path, ignore_errors=True)
            _turn_of(root).unlink(missing_ok=True)
            lock.unlink()


def _lock_of(root: Path) -> Path:
    return root.with_name(f"{root.name}.lock")


def _turn_of(root: Path) -> Path:
    """The lock of the one that unpacks it."""
    return root.with_name(f"{root.name}.turn")
