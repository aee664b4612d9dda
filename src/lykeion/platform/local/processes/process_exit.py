"""Waits for the end of a process that may not be a child of this one."""

import asyncio
import os

from .attempt_directory import AttemptDirectory

POLL_S = 0.5
"""For systems without file descriptors for processes, and while an attempt has no process yet."""


async def wait_for_exit(child: int | None, directory: AttemptDirectory) -> None:
    """Return when the process of an attempt has ended; ``child`` is its ID if it is a child of this process."""
    while child is None:
        identity = directory.identity()
        if identity is None or not identity.is_alive():
            return
        if not hasattr(os, "pidfd_open"):
            await asyncio.sleep(POLL_S)
            continue
        descriptor = _descriptor(identity.pid)
        if descriptor is not None and identity.is_alive():  # so the descriptor refers to this process
            return await _readable(descriptor)
        if descriptor is not None:
            os.close(descriptor)
    if (descriptor := _descriptor(child)) is not None:
        return await _readable(descriptor)
    while not hasattr(os, "pidfd_open") and os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        await asyncio.sleep(POLL_S)


def _descriptor(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None


async def _readable(descriptor: int) -> None:
    """Wait until the descriptor is readable, which means that its process has ended, and close it."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(descriptor, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
