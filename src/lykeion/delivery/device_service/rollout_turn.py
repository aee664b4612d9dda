"""Whose turn it is to carry the rollouts of a namespace: one process at a time, and of one fleet.

Gateways of one fleet have one store of devices, and one of them carries. A server of another fleet would move and
halt by reports of devices that the first one does not know, so it is refused.
"""

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, Protocol

from lykeion.control import ResourceStore
from lykeion.core import FileLock, Locked, Refused, first_line, write_atomically

LOOK_S = 0.5

_log = logging.getLogger("lykeion.delivery")


class RolloutTurn(Protocol):
    """``holder`` is the process that has the turn, as it calls itself, empty if none is known; ``holder_lives`` if it
    has shown so while this process watched."""

    holder: str
    holder_lives: bool

    async def acquire(self) -> None:
        """Returns when it is ours."""
        ...

    async def keep(self) -> NoReturn:
        """For ever. Raises Refused when it is lost."""
        ...

    async def release(self) -> None: ...


@dataclass(frozen=True)
class SharedRollouts:
    """Rollouts and experiments of a fleet that are kept in a ``namespace`` of a platform or a cluster.

    ``open_store`` opens that, and ``open_turn`` the turn in the namespace, for a process of the given name.
    """

    namespace: str
    open_store: Callable[[], AbstractAsyncContextManager[ResourceStore]]
    open_turn: Callable[[str], AbstractAsyncContextManager[RolloutTurn]]


class OtherFleet(Refused):
    """The rollouts of the namespace are carried for other devices."""


class FileTurn:
    """Among processes of this machine: a lock on ``path``, and a file beside it that names its holder."""

    def __init__(self, path: Path, name: str) -> None:
        self._lock, self._named, self._name = FileLock(path), path.with_suffix(".holder"), name
        self.holder, self.holder_lives = "", False

    async def __aenter__(self) -> "FileTurn":
        self._lock.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.release()

    async def acquire(self) -> None:
        """Raises LockError."""
        while not self._lock.held:
            try:
                self._lock.acquire(wait_s=0)
            except Locked:
                found = self._named.read_text() if self._named.exists() else ""
                self.holder_lives = found == self.holder  # one that has just begun has not written its name yet
                self.holder = found
                await asyncio.sleep(LOOK_S)
        write_atomically(self._named, self._name.encode())
        self.holder = self._name

    async def keep(self) -> NoReturn:
        while True:  # the system takes it back when this process ends
            await asyncio.sleep(3600)

    async def release(self) -> None:
        self._lock.release()


def process_name(fleet: str) -> str:
    """Of this process, of a fleet: no two have one name."""
    return f"{fleet}_{socket.gethostname()[:63]}_{os.getpid()}_{os.urandom(4).hex()}"


async def carry_in_turn(
    turn: RolloutTurn, fleet: str, known: asyncio.Event, work: Sequence[Callable[[], Coroutine[Any, Any, None]]]
) -> NoReturn:
    """Do all ``work`` while it is our turn, again when it comes back. ``known`` is set once no other fleet is there.

    Raises OtherFleet, and the error that ended a part of the work.
    """
    while True:
        await _acquired(turn, fleet, known)
        _log.info("this process carries the rollouts")
        try:
            await _until_lost(turn, work)
        finally:
            await turn.release()


async def _acquired(turn: RolloutTurn, fleet: str, known: asyncio.Event) -> None:
    acquiring = asyncio.ensure_future(turn.acquire())
    try:
        while not acquiring.done():
            if turn.holder.startswith(f"{fleet}_"):
                known.set()
            elif turn.holder and turn.holder_lives:
                raise OtherFleet(_refusal(turn.holder))
            await asyncio.wait([acquiring], timeout=LOOK_S)
        acquiring.result()
        known.set()
    finally:
        acquiring.cancel()


async def _until_lost(turn: RolloutTurn, work: Sequence[Callable[[], Coroutine[Any, Any, None]]]) -> None:
    keeping = asyncio.ensure_future(turn.keep())
    tasks = [keeping, *(asyncio.ensure_future(each()) for each in work)]
    try:
        done, _ = await asyncio.wait(tasks, return_when="FIRST_COMPLETED")
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done - {keeping}:
        task.result()
    try:
        await keeping
    except Refused as lost:
        _log.warning("%s; devices are told what is known, and the rollouts wait for the next turn", first_line(lost))


def _refusal(holder: str) -> str:
    _, _, process = holder.partition("_")
    return (
        f"the rollouts of this namespace are those of another fleet, which {process} serves; give this one a "
        "namespace of its own: --rollouts-namespace NAME"
    )
