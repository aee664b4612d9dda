"""Runs what the store asks for on this machine: one step at a time, each of one resource.

A resource is looked at when it changes, when one of its processes ends, and when its last step said so.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from msgspec import structs

from lykeion.control import (
    AnyKind,
    AnyResource,
    Change,
    Condition,
    Key,
    KeyQueue,
    Listing,
    ResourceStore,
    follow,
    merged,
)
from lykeion.core import Conflict, NotFound, Unavailable
from lykeion.platform.local.processes.attempt import SHUTDOWN
from lykeion.platform.local.processes.core_use import CoreUse
from lykeion.platform.local.processes.log_watch import watch_logs
from lykeion.platform.local.processes.memory_watch import watch_memory
from lykeion.platform.local.processes.owned_processes import OwnedProcesses
from lykeion.platform.lookups import GroupCores
from lykeion.platform.resources.plain_kinds import REPLICA_GROUP, ROUTE, WORK
from lykeion.platform.resources.programs import VOLUME

from .group_runner import GroupRunner
from .ignored_fields import ignored_condition
from .machine_room import LocalMachine, Room, share_of
from .newest_log import by_newest_log
from .program_needs import ProgramNeeds
from .proxy_control import ProxyControl
from .replica_probes import ReplicaProbes
from .route_runner import RouteRunner, routed_services
from .runner import Runner, RunnerStep
from .steady_clock import steady_clock
from .volume_runner import VolumeRunner
from .work_runner import WorkRunner

SHUTDOWN_GRACE_S = 10.0
IMAGE_AGAIN_S = 2.0
"""How often an image is looked for while a program waits for it."""

_log = logging.getLogger("lykeion.platform")


class Supervisor:
    """The processes, volumes and routes of all resources in ``store``, recorded in ``directory``, of which there is
    one supervisor."""

    def __init__(
        self,
        store: ResourceStore,
        directory: Path,
        machine: LocalMachine,
        proxy: ProxyControl,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        now = now or steady_clock()
        self._store, self._machine, self._proxy, self._now = store, machine, proxy, now
        self._queue: KeyQueue[str] = KeyQueue()
        share = partial(share_of, machine)
        self._processes = OwnedProcesses(directory / "work", now, self._ended, share, machine.cgroup)
        self._volumes = VolumeRunner(directory / "volumes", self._is_used, now)
        self._needs = ProgramNeeds(store, machine, proxy, self._of, self._volumes.path, self._needs_changed)
        given = self._needs.given
        probes = ReplicaProbes(now, self._queue.add)
        self._groups = GroupRunner(
            self._processes, probes, proxy.is_idle, given, machine, now,
            proxy.served(), {proxy.group.metadata.uid: proxy.port},
        )  # fmt: skip
        self._runners: dict[str, tuple[AnyKind, Runner]] = {
            WORK.name: (WORK, WorkRunner(self._processes, given, machine, now)),
            REPLICA_GROUP.name: (REPLICA_GROUP, self._groups),
            ROUTE.name: (ROUTE, RouteRunner(lambda: self._of(ROUTE), proxy.url, now)),
            VOLUME.name: (VOLUME, self._volumes),
        }
        self._resources: dict[str, AnyResource] = {}
        self._core_use = CoreUse()
        self._deleted: dict[str, AnyResource] = {}
        self._short_of_room: set[str] = set()
        self._unreadable: set[str] = set()
        """Resources of which nothing is known: what they have on this machine is left as it is."""
        self._listed = {name: asyncio.Event() for name in self._runners}
        self._stopping = False

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for kind, _ in self._runners.values():
                tasks.create_task(follow(self._store, kind, partial(self._replace, kind), self._notice))
            tasks.create_task(self._needs.values.run())
            tasks.create_task(self._work())
            tasks.create_task(watch_logs(self._processes.logs))
            tasks.create_task(watch_memory(self._processes.memory_limits, self._processes.exceeded))

    async def shut_down(self) -> None:
        """Stop every process, with a grace period; the next supervisor starts it again. This counts as no failure."""
        self._stopping = True
        while self._processes.any_run():
            for uid in self._processes.owners():
                self._queue.add(uid)
            await self._processes.any_end(timeout_s=1)

    def log_of(self, resource: AnyResource, index: int, part: str = "") -> Path | None:
        """The log of the last attempt at an index: of a resource, of its program, or of the newest that it owns.

        ``part`` is a step of a run, or a part of a resource such as ``publish``.
        """
        owned = by_newest_log(resource, part, self._resources.values())
        logs = (self._processes.log(each.metadata.uid, index) for each in owned)
        return next((log for log in logs if log), None)

    async def cores_of(self, asked: GroupCores) -> float:
        """How many cores a group's replicas use. Raises Unavailable if that is not known."""
        key = Key(REPLICA_GROUP.name, asked.namespace, asked.group)
        uid = next((uid for uid, each in self._resources.items() if each.key == key), "")
        return await asyncio.to_thread(lambda: self._core_use.since_last(uid, self._processes.leaders(uid)))

    async def replicas_of(self, namespace: str, group: str) -> list[tuple[str, str]]:
        """The addresses of the replicas that get requests, each after text that differs after a restart."""
        key = Key(REPLICA_GROUP.name, namespace, group)
        uid = next((uid for uid, each in self._resources.items() if each.key == key), "")
        return [
            (f"{each.name} {each.started}", f"127.0.0.1:{each.port}") for each in self._groups.serving.get(uid, ())
        ]

    def volume(self, namespace: str, name: str) -> str:
        """The path of a volume; empty if there is none that can be used."""
        return self._needs.volume(namespace, name)

    def _replace(self, kind: AnyKind, listing: Listing) -> None:
        known = {each.metadata.uid: each for each in self._resources.values() if each.kind is kind}
        listed = {each.metadata.uid for each in listing.items} | {self._proxy.group.metadata.uid}
        for resource in (each for uid, each in known.items() if uid not in listed):
            self._notice(Change("DELETED", resource))
        for resource in listing.items:
            self._notice(Change("MODIFIED", resource))
        self._unreadable |= listing.unreadable.keys()
        self._listed[kind.name].set()

    def _notice(self, change: Change) -> None:
        resource, uid = change.resource, change.resource.metadata.uid
        if change.type == "DELETED":
            self._resources.pop(uid, None)
            self._deleted[uid] = resource
        elif uid not in self._deleted:  # or the answer to a write came after the deletion
            if uid not in self._resources:
                self._runners[resource.kind.name][1].adopt(resource)
            self._resources[uid] = resource
        self._queue.add(uid)
        if resource.kind is VOLUME:
            self._needs_changed()

    def _of(self, kind: AnyKind) -> list[AnyResource]:
        return [each for each in self._resources.values() if each.kind is kind]

    async def _work(self) -> None:
        await asyncio.gather(self._needs.values.listed(), *(listed.wait() for listed in self._listed.values()))
        self._volumes.remove_others({each.metadata.uid for each in self._of(VOLUME)} | self._unreadable)
        self._notice(Change("ADDED", self._proxy.group))
        for uid in self._processes.owners() - self._resources.keys() - self._unreadable:
            self._processes.adopt(uid)
            self._queue.add(uid)
        while True:
            uid = await self._queue.get()
            name = self._resources[uid].key if uid in self._resources else uid
            try:
                again_s = await self._step(uid)
            except (Conflict, NotFound):
                self._queue.done(uid)  # it was changed or deleted, which the watch will report
            except Unavailable as error:
                _log.warning("%s: %s; trying again", name, error)
                self._queue.failed(uid)
            except Exception:
                _log.exception("%s: the supervisor failed; trying again", name)
                self._queue.failed(uid)
            else:
                if again_s is not None:
                    self._queue.add_after(uid, again_s)
                self._queue.done(uid)

    async def _step(self, uid: str) -> float | None:
        """One step. Returns the seconds until the next is due, or None."""
        resource, deleted = self._resources.get(uid), self._deleted.get(uid)
        if uid in self._unreadable:
            return None
        try:
            return await (self._run(resource) if resource else self._retire(uid))
        finally:
            self._processes.watch(uid)
            if known := resource or deleted:
                self._publish(known)

    async def _run(self, resource: AnyResource) -> float | None:
        if hasattr(resource.spec, "program"):
            step, conditions = await self._run_program(resource)
        else:
            step, conditions = await self._runners[resource.kind.name][1].step(resource, 0), ()
        self._publish(resource)  # before the status says that it is ready
        changed = merged(step.status.conditions, self._now(), *conditions)
        status = structs.replace(step.status, conditions=changed)
        if resource.metadata.uid == self._proxy.group.metadata.uid:
            self._keep_proxy(resource, status)
        elif status != resource.status:
            self._notice(Change("MODIFIED", await self._store.write_status(resource.with_status(status))))
        return step.again_s

    async def _run_program(self, resource: AnyResource) -> tuple[RunnerStep, tuple[Condition, ...]]:
        uid, program = resource.metadata.uid, resource.spec.program
        if self._stopping:
            grace_s = min(SHUTDOWN_GRACE_S, resource.spec.grace_period_seconds)
            await asyncio.to_thread(self._processes.stop_all, uid, SHUTDOWN, grace_s)
        room, lacking = self._room(), self._needs.lacking(resource)
        lacks_image = await self._needs.lacks_image(resource)
        places = 0 if self._stopping or lacking or lacks_image else room.places(program.resources)
        step = await self._runners[resource.kind.name][1].step(self._needs.resolved(resource), places)
        (self._short_of_room.add if step.waiting else self._short_of_room.discard)(uid)
        if lacking is None and lacks_image and step.waiting:
            lacking = self._needs.missing_image(resource)
            step = replace(step, again_s=min(step.again_s or IMAGE_AGAIN_S, IMAGE_AGAIN_S))
        if lacking:
            reason, message = lacking
            unschedulable = Condition(type="Unschedulable", status="True", reason=reason, message=message)
        else:
            waiting = 0 if self._processes.running(uid) else step.waiting
            unschedulable = room.unschedulable(program.resources, waiting)
        return step, (unschedulable, *ignored_condition(program, starts_images=self._machine.starts_images))

    def _keep_proxy(self, group: AnyResource, status: Any) -> None:
        if status.last_exit_time != group.status.last_exit_time:
            _log.warning("the proxy has ended: %s", status.last_exit)
        self._resources[group.metadata.uid] = group.with_status(status)

    def _publish(self, changed: AnyResource) -> None:
        """Tell the proxy which replicas get requests, and run it while there are routes."""
        if changed.kind.name not in (ROUTE.name, REPLICA_GROUP.name):
            return
        wanted = self._proxy.publish(routed_services(self._of(ROUTE), self._of(REPLICA_GROUP), self._groups.serving))
        group = self._resources.get(self._proxy.group.metadata.uid)
        if group and group.spec.replicas != wanted:
            self._notice(Change("MODIFIED", replace(group, spec=structs.replace(group.spec, replicas=int(wanted)))))

    async def _retire(self, uid: str) -> float | None:
        """End the processes of a deleted resource, then forget it."""
        if resource := self._deleted.get(uid):
            left_s = await self._runners[resource.kind.name][1].retire(resource)
        else:
            await asyncio.to_thread(self._processes.see_ends, uid)
            left_s = await asyncio.to_thread(self._processes.stop_all, uid, SHUTDOWN, SHUTDOWN_GRACE_S)
        if left_s is None:
            await asyncio.to_thread(self._processes.remove, uid)
            self._deleted.pop(uid, None)
            self._short_of_room.discard(uid)
        return left_s

    def _needs_changed(self) -> None:
        """A Secret, ConfigMap, volume or image has changed, for which some programs may wait."""
        for each in self._short_of_room:
            self._queue.add(each)

    def _ended(self, uid: str) -> None:
        """A process has ended: its owner is looked at, and those that wait for room."""
        for each in (uid, *self._short_of_room):
            self._queue.add(each)

    def _room(self) -> Room:
        return Room.beside(self._machine, self._processes.shares())

    def _is_used(self, volume: AnyResource) -> bool:
        """Whether a program runs that has mounted the volume."""
        every = (*self._resources.values(), *self._deleted.values())
        return any(
            self._processes.running(each.metadata.uid)
            for each in every
            if each.metadata.namespace == volume.metadata.namespace
            and volume.metadata.name in [mount.volume for mount in getattr(each.spec, "mounts", ())]
        )
