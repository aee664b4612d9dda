"""Disks that refuse: read-only and full ones. For root; others skip what needs them."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def _mount(*words: object) -> None:
    if sys.platform != "linux" or subprocess.run(["mount", *map(str, words)], capture_output=True).returncode:
        pytest.skip("this user may not mount")


@contextmanager
def read_only(directory: Path) -> Iterator[Path]:
    """The directory, which cannot be written meanwhile."""
    _mount("--bind", directory, directory)
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", directory], check=True)
        yield directory
    finally:
        subprocess.run(["umount", "--lazy", directory], check=True)


@contextmanager
def small_disk(directory: Path, size: str = "2m") -> Iterator[Path]:
    """A new directory with a disk of its own."""
    directory.mkdir()
    _mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", directory)
    try:
        yield directory
    finally:
        subprocess.run(["umount", "--lazy", directory], check=True)


def fill(disk: Path) -> None:
    """Leave no byte free."""
    with (disk / "filling").open("ab", buffering=0) as file:
        for size in (2**20, 2**12, 1):
            try:
                while file.write(bytes(size)):
                    pass
            except OSError:
                continue
