"""The processes of owners, such as a Work or a ReplicaGroup: started, stopped, seen to end, and found again.

The state of a process is read from its attempt's directory and from the system, never from memory alone: see
``attempt_directory``.
"""

import asyncio
import shutil
import subprocess
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from lykeion.platform.resources.programs import Requests

from .attempt import OOM_KILLED, Attempt
from .attempt_directory import AttemptDirectory, AttemptError, kill_rest
from .launch import Launch
from .machine_share import UNLIMITED, MachineShare
from .process_exit import wait_for_exit
from .resident_memory import MemoryLimit


class OwnedProcesses:
    """All processes recorded below ``directory``, by the uid of their owner; one object per directory.

    ``ended`` is called in the event loop with the uid of an owner when one of its watched processes has ended or uses
    too much memory. ``share_of`` chooses what a process gets of the machine, beside those that run. ``cgroup`` is a
    delegated control group, if there is one. The methods that touch files or processes block for some milliseconds;
    call those of one owner one at a time.
    """

    def __init__(
        self,
        directory: Path,
        now: Callable[[], datetime],
        ended: Callable[[str], None],
        share_of: Callable[[Requests, Collection[MachineShare]], MachineShare] = lambda needs, held: UNLIMITED,
        cgroup: Path | None = None,
    ) -> None:
        self._directory, self._now, self._ended, self._share_of = directory, now, ended, share_of
        self._cgroup = cgroup
        self._exceeded: set[Path] = set()
        self._noticed: set[Path] = set()
        self._unreported: dict[str, list[Attempt]] = {}
        self._running: dict[str, dict[str, Attempt]] = {}
        self._last: dict[str, dict[int, int]] = {}
        self._children: dict[Path, subprocess.Popen[bytes]] = {}
        self._watched: dict[Path, asyncio.Task[None]] = {}

    def owners(self) -> set[str]:
        """Those with running processes, and those with records on disk."""
        recorded = {path.name for path in self._directory.iterdir()} if self._directory.is_dir() else set[str]()
        return recorded | self._running.keys()

    def running(self, uid: str) -> list[Attempt]:
        return list(self._running.get(uid, {}).values())

    def ports(self) -> set[int]:
        """Those that running programs were given."""
        return {each.port for running in self._running.values() for each in running.values()}

    def shares(self) -> list[MachineShare]:
        """What running programs have of the machine."""
        return [each.share for running in list(self._running.values()) for each in list(running.values())]

    def any_run(self) -> bool:
        return any(self._running.values())

    def place(self, uid: str) -> Path:
        """The directory of an owner's attempts."""
        return self._directory / uid

    def log(self, uid: str, index: int) -> Path | None:
        """The log of the last attempt at an index."""
        number = self._last.get(uid, {}).get(index)
        return None if number is None else self._at(uid, f"{index}-{number}").log

    def logs(self) -> list[Path]:
        """Of running programs."""
        return [self._at(uid, each.name).log for uid in list(self._running) for each in self.running(uid)]

    def result(self, uid: str, attempt: Attempt) -> Path:
        """The file to which the program of an attempt may write a result."""
        return self._at(uid, attempt.name).result

    def shard(self, uid: str, attempt: Attempt) -> Path:
        """The file that tells the program of an attempt its shard."""
        return self._at(uid, attempt.name).shard

    def adopt(self, uid: str) -> list[Attempt]:
        """Find what an earlier process of ours recorded for an owner. Returns the attempts that have ended."""
        recorded = (AttemptDirectory(path).attempt() for path in sorted(self.place(uid).glob("*-*")))
        attempts = [each for each in recorded if each]
        self._running[uid] = {each.name: each for each in attempts if not each.ended}
        for each in attempts:
            self._count(uid, each)
        return [each for each in attempts if each.ended]

    def start(self, uid: str, attempt: Attempt, launch: Launch) -> Attempt | None:
        """Record and start an attempt. Returns how it ended if it cannot be started. Raises AttemptError."""
        attempt = replace(attempt, share=self._share_of(launch.needs, self.shares()))
        directory = AttemptDirectory.create(self.place(uid), attempt)
        self._running.setdefault(uid, {})[attempt.name] = attempt
        self._count(uid, attempt)
        try:
            if self._cgroup and attempt.share.memory_bytes:
                directory.limit_memory(self._cgroup, attempt.share.memory_bytes)
            self._children[directory.path] = directory.start(launch, attempt.share)
        except AttemptError as refused:
            directory.record_end(self._now(), message=str(refused))
            return self._forget(uid, attempt)
        return None

    def see_ends(self, uid: str) -> list[Attempt]:
        """Record the end of each attempt whose process no longer exists, and return these attempts.

        Those that use too much memory are killed, and will be seen to end later. Raises AttemptError; what was
        recorded before is returned by the next call.
        """
        for each in self.running(uid):
            if self._at(uid, each.name).path in self._exceeded:
                self.stop(uid, each, each.stopping or OOM_KILLED, 0)
        ended = self._unreported.setdefault(uid, [])
        gone = [each for each in self.running(uid) if self._is_gone(uid, each)]
        kill_rest([self._at(uid, each.name) for each in gone])
        for each in gone:
            ended.append(self._record_end(uid, each))
        return self._unreported.pop(uid)

    def stop(self, uid: str, attempt: Attempt, reason: str, grace_s: float) -> float:
        """Tell an attempt to end, and after the grace period kill it. Returns the seconds until then."""
        directory, now = self._at(uid, attempt.name), self._now()
        self._running[uid][attempt.name] = replace(attempt, stopping=reason)
        child = self._children.get(directory.path)
        until = directory.stop(reason, now, grace_s, child.pid if child else None)
        return max(0.05, (until - now).total_seconds())

    def stop_all(self, uid: str, reason: str, grace_s: float) -> float | None:
        """Stop what runs for an owner. Returns the seconds until it is killed; None if nothing runs."""
        times = (self.stop(uid, each, each.stopping or reason, grace_s) for each in self.running(uid))
        return min(times, default=None)

    def watch(self, uid: str) -> None:
        """Call ``ended`` when a process of the owner ends."""
        for attempt in self.running(uid):
            directory = self._at(uid, attempt.name)
            if directory.path not in self._watched and directory.path not in self._noticed:
                self._watched[directory.path] = asyncio.create_task(self._wait(uid, directory))

    def leaders(self, uid: str) -> list[int]:
        """The process IDs of the leaders of an owner's running attempts."""
        identities = (self._at(uid, each.name).identity() for each in self.running(uid))
        return [each.pid for each in identities if each]

    def memory_limits(self) -> list[MemoryLimit]:
        """Of running programs that no control group limits."""
        limits: list[MemoryLimit] = []
        for uid in list(self._running):
            for each in self.running(uid):
                directory = self._at(uid, each.name)
                if each.share.memory_bytes and not directory.cgroup.path.exists() and (who := directory.identity()):
                    limits.append(MemoryLimit(directory.path, who.pid, each.share.memory_bytes))
        return limits

    def exceeded(self, path: Path) -> None:
        """The attempt in this directory uses more memory than it may."""
        self._exceeded.add(path)
        self._ended(path.parent.name)

    async def any_end(self, timeout_s: float) -> None:
        """Wait until a watched process ends."""
        if self._watched:
            await asyncio.wait(self._watched.values(), timeout=timeout_s, return_when="FIRST_COMPLETED")
        else:
            await asyncio.sleep(0.05)

    def remove(self, uid: str) -> None:
        """Delete all records of an owner without running processes."""
        shutil.rmtree(self.place(uid), ignore_errors=True)
        self._running.pop(uid, None)
        self._last.pop(uid, None)

    def remove_attempt(self, uid: str, index: int, number: int) -> bool:
        """Delete the record of an attempt that has ended. Returns whether there was one."""
        path = self.place(uid) / f"{index}-{number}"
        if found := path.exists():
            shutil.rmtree(path, ignore_errors=True)
        return found

    def _at(self, uid: str, name: str) -> AttemptDirectory:
        return AttemptDirectory(self.place(uid) / name)

    def _count(self, uid: str, attempt: Attempt) -> None:
        last = self._last.setdefault(uid, {})
        last[attempt.index] = max(attempt.number, last.get(attempt.index, 0))

    def _is_gone(self, uid: str, attempt: Attempt) -> bool:
        directory = self._at(uid, attempt.name)
        if child := self._children.get(directory.path):
            return child.poll() is not None
        identity = directory.identity()
        return directory.abandon() if identity is None else not identity.is_alive()

    def _record_end(self, uid: str, attempt: Attempt) -> Attempt:
        directory = self._at(uid, attempt.name)
        child = self._children.get(directory.path)
        directory.record_end(self._now(), child.returncode if child else None)
        return self._forget(uid, attempt)

    def _forget(self, uid: str, attempt: Attempt) -> Attempt:
        directory = self._at(uid, attempt.name)
        self._children.pop(directory.path, None)
        for paths in (self._exceeded, self._noticed):
            paths.discard(directory.path)
        self._running[uid].pop(attempt.name, None)
        return directory.attempt() or replace(attempt, ended=self._now())

    async def _wait(self, uid: str, directory: AttemptDirectory) -> None:
        try:
            child = self._children.get(directory.path)
            await wait_for_exit(child.pid if child else None, directory)
        finally:
            self._watched.pop(directory.path, None)
            self._noticed.add(directory.path)
            self._ended(uid)
