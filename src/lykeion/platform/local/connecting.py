"""Where this user's platform is, and how to reach it: cheap to import, since most commands need no more."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from lykeion.control import AnyKind
from lykeion.core import FileLock, Locked, Unavailable, data_directory
from lykeion.resource_api import ServerUnreachable, SocketStore, socket_of

ABSENT = "the platform does not run on this machine; start it: lykeion up"


class PlatformError(Unavailable):
    """The platform cannot be started."""


def platform_directory() -> Path:
    """The directory in which this user's platform keeps its state."""
    return data_directory() / "platform"


def connect(kinds: Mapping[str, AnyKind] | None = None, directory: Path | None = None) -> SocketStore:
    """The resources of the platform that runs on this machine, by default of all kinds."""
    if kinds is None:
        from lykeion.platform.composition import KINDS

        kinds = KINDS
    return SocketStore(socket_of(directory or platform_directory()), dict(kinds), ABSENT)


async def is_up(directory: Path, kinds: Mapping[str, AnyKind]) -> bool:
    """Whether the platform of a directory responds."""
    async with connect(kinds, directory) as store:
        try:
            await store.listing(next(iter(kinds.values())))
            return True
        except ServerUnreachable:
            return False


async def end_platform(directory: Path, kinds: Mapping[str, AnyKind]) -> bool:
    """Ask the platform of a directory to stop and wait until it has; False if none runs."""
    async with connect(kinds, directory) as store:
        try:
            await store.shut_down()
        except ServerUnreachable:
            return False
    lock = FileLock(directory / "lock")
    while True:
        with suppress(Locked):
            lock.acquire(wait_s=0)
            lock.release()
            return True
        await asyncio.sleep(0.05)
