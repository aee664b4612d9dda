"""Runs Work on this machine: starts processes, notices when they end, and finds them again after its own crash.

The state of a process is read from its attempt's directory and from the system, never from memory alone: see
``attempt_directory``. One Work is processed at a time.
"""

import asyncio
import logging
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from msgspec import structs

from lykeion.control import Change, Condition, Key, KeyQueue, Listing, ResourceStore, follow, merged
from lykeion.core import Conflict, NotFound, Unavailable
from lykeion.platform.policies.completion import has_finished
from lykeion.platform.policies.distributed import distributed_environment
from lykeion.platform.resources.work import WORK, Work, WorkStatus

from .attempt_directory import AttemptDirectory, AttemptError
from .expansion import expand
from .gang_plan import plan_gang
from .peer_addresses import peer_addresses
from .process_exit import wait_for_exit
from .work_plan import SHUTDOWN, Attempt, WorkPlan, plan_work

SHUTDOWN_GRACE_S = 10.0

_log = logging.getLogger("lykeion.platform")


@dataclass(frozen=True)
class LocalMachine:
    """The resources that this machine has for programs, and their default environment and working directory."""

    cores: float
    memory_bytes: float
    environment: Mapping[str, str]
    working_directory: str


class Supervisor:
    """The processes of all Work in ``store``, recorded below ``directory``; one supervisor per directory."""

    def __init__(
        self,
        store: ResourceStore,
        directory: Path,
        machine: LocalMachine,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store, self._directory, self._machine, self._now = store, directory, machine, now
        self._works: dict[Key, Work] = {}
        self._ended: dict[str, dict[Path, Attempt]] = {}
        self._running: dict[str, dict[Path, Attempt]] = {}
        self._children: dict[Path, subprocess.Popen[bytes]] = {}
        self._watched: dict[Path, asyncio.Task[None]] = {}
        self._queue: KeyQueue[Key | str] = KeyQueue()
        self._listed = asyncio.Event()
        self._stopping = False

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(follow(self._store, WORK, self._replace, self._notice))
            tasks.create_task(self._work())

    async def shut_down(self) -> None:
        """Stop every process, with a grace period; the next supervisor starts it again. This counts as no failure."""
        self._stopping = True
        while any(self._running.values()):
            for key in self._works:
                self._queue.add(key)
            await asyncio.wait(
                [*self._watched.values(), asyncio.create_task(asyncio.sleep(1))], return_when="FIRST_COMPLETED"
            )

    def log_of(self, uid: str, index: int) -> Path | None:
        """The log of the last attempt at an index of a Work."""
        attempts = [*self._ended.get(uid, {}).items(), *self._running.get(uid, {}).items()]
        numbers = {attempt.number: path for path, attempt in attempts if attempt.index == index}
        return AttemptDirectory(numbers[max(numbers)]).log if numbers else None

    def log_of_owned(self, owner: str, index: int) -> Path | None:
        """The same for the Work that a resource owns."""
        works = (work for work in self._works.values() if work.owner and work.owner.uid == owner)
        return next((log for work in works if (log := self.log_of(work.metadata.uid, index))), None)

    def _replace(self, listing: Listing) -> None:
        self._works = {work.key: work for work in listing.items}
        uids = {work.metadata.uid for work in listing.items}
        kept = {path.name for path in self._directory.iterdir()} if self._directory.is_dir() else set[str]()
        for uid in kept | self._running.keys() | uids:
            if uid not in self._running:
                self._load(uid)
            if uid not in uids:
                self._queue.add(uid)
        for key in self._works:
            self._queue.add(key)
        self._listed.set()

    def _notice(self, change: Change) -> None:
        work = change.resource
        if change.type == "DELETED":
            self._works.pop(work.key, None)
            self._queue.add(work.metadata.uid)
        else:
            self._works[work.key] = work
            self._queue.add(work.key)

    def _load(self, uid: str) -> None:
        ended, running = self._ended.setdefault(uid, {}), self._running.setdefault(uid, {})
        for path in sorted((self._directory / uid).glob("*-*")):
            if attempt := AttemptDirectory(path).attempt():
                (ended if attempt.ended else running)[path] = attempt

    async def _work(self) -> None:
        await self._listed.wait()
        while True:
            key = await self._queue.get()
            try:
                again_s = await (self._remove(key) if isinstance(key, str) else self._step(key))
            except (Conflict, NotFound):
                self._queue.done(key)  # it was changed or deleted, which the watch will report
            except Unavailable as error:
                _log.warning("%s: %s; trying again", key, error)
                self._queue.failed(key)
            else:
                if again_s is not None:
                    self._queue.add_after(key, again_s)
                self._queue.done(key)

    async def _step(self, key: Key) -> float | None:
        """One step. Returns the seconds until the next is due, or None."""
        work = self._works.get(key)
        if work is None:
            return None
        uid = work.metadata.uid
        await asyncio.to_thread(self._see_ends, uid)
        attempts = [*self._ended.setdefault(uid, {}).values(), *self._running.setdefault(uid, {}).values()]
        plan_for = plan_gang if work.spec.roles else plan_work
        plan = plan_for(work, attempts, self._now(), 0 if self._stopping else self._room(work))
        stops = [(each, SHUTDOWN) for each in self._running[uid].values()] if self._stopping else plan.stop
        grace_s = (
            min(SHUTDOWN_GRACE_S, work.spec.grace_period_seconds)
            if self._stopping
            else work.spec.grace_period_seconds
        )
        kills = [await asyncio.to_thread(self._stop, uid, each, reason, grace_s) for each, reason in stops]
        for index, number in plan.start:
            await asyncio.to_thread(self._start, work, index, number)
        self._watch(key, uid)
        status = self._with_room(work, plan)
        if status != work.status:
            self._notice(Change("MODIFIED", await self._store.write_status(work.with_status(status))))
        return min((each for each in (plan.again_s, *kills) if each is not None), default=None)

    async def _remove(self, uid: str) -> float | None:
        """Stop the processes of a deleted Work, then forget it."""
        await asyncio.to_thread(self._see_ends, uid)
        running = list(self._running.get(uid, {}).values())
        if not running:
            await asyncio.to_thread(shutil.rmtree, self._directory / uid, True)
            self._ended.pop(uid, None)
            self._running.pop(uid, None)
            return None
        kills = [await asyncio.to_thread(self._stop, uid, each, SHUTDOWN, SHUTDOWN_GRACE_S) for each in running]
        self._watch(uid, uid)
        return min(kills)

    def _see_ends(self, uid: str) -> None:
        """Record the end of each attempt whose process no longer exists."""
        for path, attempt in list(self._running.get(uid, {}).items()):
            directory = AttemptDirectory(path)
            child = self._children.get(path)
            identity = directory.identity()
            if child is not None:
                gone = child.poll() is not None
            elif identity is None:
                gone = directory.abandon()
            else:
                gone = not identity.is_alive()
            if gone:
                directory.kill_rest()
                directory.record_end(self._now(), child.returncode if child else None)
                self._forget(uid, path, attempt)

    def _forget(self, uid: str, path: Path, attempt: Attempt) -> None:
        self._children.pop(path, None)
        self._running[uid].pop(path, None)
        self._ended[uid][path] = AttemptDirectory(path).attempt() or attempt

    def _stop(self, uid: str, attempt: Attempt, reason: str, grace_s: float) -> float:
        """Stop the attempt. Returns the seconds until it has to be killed."""
        path = next(path for path, each in self._running[uid].items() if each is attempt)
        now, child = self._now(), self._children.get(path)
        until = AttemptDirectory(path).stop(reason, now, grace_s, child.pid if child else None)
        return max(0.05, (until - now).total_seconds())

    def _start(self, work: Work, index: int, number: int) -> None:
        uid = work.metadata.uid
        directory = AttemptDirectory.create(self._directory / uid, index, number, self._now())
        addresses = peer_addresses(self._directory / uid, number, work.spec.completions) if work.spec.roles else ()
        argv, environment, place = launch(work, index, self._machine, addresses)
        attempt = directory.attempt()
        assert attempt
        self._running[uid][directory.path] = attempt
        try:
            self._children[directory.path] = directory.start(argv, environment, place)
        except AttemptError as refused:
            directory.record_end(self._now(), message=str(refused))
            self._forget(uid, directory.path, attempt)

    def _watch(self, key: Key | str, uid: str) -> None:
        """Queue the key again when one of its processes ends, or has failed to start."""
        for path in self._running.get(uid, {}):
            if path not in self._watched:
                self._watched[path] = asyncio.create_task(self._wait(key, path))

    async def _wait(self, key: Key | str, path: Path) -> None:
        try:
            child = self._children.get(path)
            await wait_for_exit(child.pid if child else None, AttemptDirectory(path))
        finally:
            self._watched.pop(path, None)
            self._queue.add(key if key in self._works else path.parent.name)  # the uid, if it was deleted meanwhile
            for other, work in self._works.items():  # it may have waited for the room
                if _is_limited(work) and not has_finished(work.status.conditions):
                    self._queue.add(other)

    def _room(self, work: Work) -> int:
        """How many more processes of a Work fit in addition to all running ones."""
        machine, needs = self._machine, work.spec.program.resources
        cores, memory_bytes = machine.cores, machine.memory_bytes
        by_uid = {each.metadata.uid: each for each in self._works.values()}
        for uid, running in self._running.items():
            if other := by_uid.get(uid):
                cores -= len(running) * other.spec.program.resources.cores()
                memory_bytes -= len(running) * other.spec.program.resources.memory_bytes()
        room = [work.spec.parallelism]
        room += [int(cores / needs.cores() + 1e-9)] if needs.cores() else []
        room += [int(memory_bytes / needs.memory_bytes())] if needs.memory_bytes() else []
        return max(0, min(room))

    def _with_room(self, work: Work, plan: WorkPlan) -> WorkStatus:
        """The status, with a condition that tells whether a process is too large for the machine."""
        machine, needs = self._machine, work.spec.program.resources
        lacking = [
            f"{wanted:g} {unit} of {there:g}"
            for wanted, there, unit in (
                (needs.cores(), machine.cores, "cores"),
                (needs.memory_bytes() / 2**20, machine.memory_bytes / 2**20, "MiB of memory"),
            )
            if wanted > there
        ]
        message = f"one process needs {' and '.join(lacking)}" if lacking else ""
        truth = "True" if lacking else "False"
        condition = Condition(type="Unschedulable", status=truth, reason="MachineTooSmall", message=message)
        return structs.replace(plan.status, conditions=merged(plan.status.conditions, self._now(), condition))


def _is_limited(work: Work) -> bool:
    """Whether other processes can leave no room for those of a Work."""
    needs = work.spec.program.resources
    return bool(needs.cores() or needs.memory_bytes())


def launch(
    work: Work, index: int, machine: LocalMachine, addresses: Sequence[str] = ()
) -> tuple[list[str], dict[str, str], str]:
    """The arguments, the environment and the working directory for one index.

    ``addresses`` are those of all processes, if the program is distributed.
    """
    program, values = work.spec.program, work.spec.values
    variables = {
        **machine.environment,
        "JOB_COMPLETION_INDEX": str(index),
        "LYKEION_VALUE": values[index] if index < len(values) else "",
        **(distributed_environment(work.spec.roles, addresses, index) if addresses else {}),
    }
    for each in program.env:
        variables[each.name] = expand(each.value, variables)
    argv = [expand(each, variables) for each in (*program.command, *program.args)]
    return argv, variables, program.working_dir or machine.working_directory
