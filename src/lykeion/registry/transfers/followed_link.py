"""A link that leads to the version which a reference names, and is flipped to each new one."""

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from lykeion.core import CONSOLE, LykeionError, Reporter
from lykeion.oci.distribution import ArtifactStore, Reference, StoreError
from lykeion.registry.resolving import resolve
from lykeion.registry.trust.policy import Policy

from .pull import pull

KEPT = 3
"""Versions beside the link, the one it leads to among them: a program may serve one of the last."""


def flip_link(
    store: ArtifactStore,
    reference: Reference,
    link: Path,
    *,
    policy: Policy | None = None,
    reporter: Reporter = CONSOLE,
) -> str:
    """Have ``link`` lead to the version that the reference names now; its directory is beside it.

    Returns the version's digest if the link was flipped, or else an empty string. Raises what ``pull`` raises.
    """
    digest = resolve(store, reference)
    directory = link.parent / f"{link.name}-{digest.partition(':')[2][:32]}"
    try:
        if link.is_symlink() and str(link.readlink()) == directory.name:
            return ""
        if not directory.is_dir():  # what is there is complete, and programs may have written beside its files
            pull(store, reference.at(digest), directory, policy=policy, reporter=reporter)
        os.utime(directory)
        _point(link, directory)
        _discard_old(link)
    except OSError as error:
        raise StoreError(f"{link}: {error.strerror or error}") from None
    return digest


def follow_link(
    flip: Callable[[], str],
    every_s: float,
    flipped: Callable[[str], object],
    failed: Callable[[LykeionError], object],
    sleep: Callable[[float], object] = time.sleep,
) -> None:
    """Flip for ever. What cannot be read or pulled now is tried again; the link stays."""
    while True:
        try:
            if digest := flip():
                flipped(digest)
        except LykeionError as error:
            failed(error)
        sleep(every_s)


def _point(link: Path, directory: Path) -> None:
    """Readers find the old directory or the new one."""
    new = link.parent / f".{link.name}.new"
    new.unlink(missing_ok=True)
    new.symlink_to(directory.name)
    new.replace(link)


def _discard_old(link: Path) -> None:
    versions = [each for each in link.parent.glob(f"{link.name}-*") if each.is_dir() and not each.is_symlink()]
    for old in sorted(versions, key=lambda each: each.stat().st_mtime_ns, reverse=True)[KEPT:]:
        shutil.rmtree(old, ignore_errors=True)
