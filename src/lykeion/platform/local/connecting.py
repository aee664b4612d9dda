"""Where this user's platform is, and how to reach it: cheap to import, since most commands need no more."""

import asyncio
import hashlib
import os
from contextlib import suppress
from pathlib import Path

from lykeion.control import AnyKind
from lykeion.core import FileLock, Locked, data_directory

from .socket_store import PlatformError, SocketStore

MAX_SOCKET_BYTES = 100
"""Limit of a socket's path: Linux allows 107, macOS 103."""


def platform_directory() -> Path:
    """The directory in which this user's platform keeps its state."""
    return data_directory() / "platform"


def socket_of(directory: Path) -> Path:
    """The socket on which the platform of a directory listens. Raises PlatformError if no path is short enough."""
    name = hashlib.sha256(os.fsencode(directory.absolute())).hexdigest()[:16]
    places = [directory.absolute() / "api.sock"]
    places += [Path(runtime) / f"lykeion-{name}.sock" for runtime in [os.environ.get("XDG_RUNTIME_DIR")] if runtime]
    for place in places:
        if len(os.fsencode(place)) < MAX_SOCKET_BYTES:
            return place
    raise PlatformError(
        f"{places[0]} is too long for a socket: set LYKEION_HOME to a shorter path, or XDG_RUNTIME_DIR"
    )


def connect(kinds: dict[str, AnyKind] | None = None, directory: Path | None = None) -> SocketStore:
    """The resources of the platform that runs on this machine, by default of all kinds."""
    if kinds is None:
        from lykeion.platform.composition import KINDS

        kinds = KINDS
    return SocketStore(socket_of(directory or platform_directory()), kinds)


async def is_up(directory: Path, kinds: dict[str, AnyKind]) -> bool:
    """Whether the platform of a directory responds."""
    async with connect(kinds, directory) as store:
        try:
            await store.listing(next(iter(kinds.values())))
            return True
        except PlatformError:
            return False


async def end_platform(directory: Path, kinds: dict[str, AnyKind]) -> bool:
    """Ask the platform of a directory to stop and wait until it has; False if none runs."""
    async with connect(kinds, directory) as store:
        try:
            await store.shut_down()
        except PlatformError:
            return False
    lock = FileLock(directory / "lock")
    while True:
        with suppress(Locked):
            lock.acquire(wait_s=0)
            lock.release()
            return True
        await asyncio.sleep(0.05)
