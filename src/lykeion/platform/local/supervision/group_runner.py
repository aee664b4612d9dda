"""Runs ReplicaGroups: carries out what ``plan_group`` decides."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from msgspec import structs

from lykeion.platform.local.processes.attempt import KEPT_ENDED, Attempt
from lykeion.platform.local.processes.free_port import free_port
from lykeion.platform.local.processes.launch import Mounted, launch
from lykeion.platform.local.processes.owned_processes import OwnedProcesses
from lykeion.platform.resources.plain_kinds import ReplicaGroup

from .group_plan import GroupPlan, RunningReplica, plan_group
from .machine_room import LocalMachine
from .replica_probes import Checks, ReplicaProbes
from .runner import RunnerStep


class GroupRunner:
    """``given`` returns the variables for a resource's programs, ``machine`` their environment.

    ``is_idle`` tells whether a replica of an owner that gets no more requests has none in flight; it is only asked
    while replicas drain. ``served`` are those that got requests before, as ``UID/ATTEMPT``; ``ports`` the ports of
    groups that do not get a free one. ``serving`` holds, by uid, the attempts that get requests.
    """

    def __init__(
        self,
        processes: OwnedProcesses,
        probes: ReplicaProbes,
        is_idle: Callable[[str, Attempt], Awaitable[bool]],
        given: Callable[[Any], Mapping[str, str]],
        machine: LocalMachine,
        now: Callable[[], datetime],
        served: Collection[str] = (),
        ports: Mapping[str, int] | None = None,
    ) -> None:
        self._served, self._ports = served, ports or {}
        self._processes, self._probes, self._is_idle = processes, probes, is_idle
        self._given, self._machine, self._now = given, machine, now
        self._ended: dict[str, dict[int, Attempt]] = {}
        self._draining: dict[str, dict[str, datetime]] = {}
        self.serving: dict[str, tuple[Attempt, ...]] = {}

    def adopt(self, resource: ReplicaGroup) -> None:
        uid = resource.metadata.uid
        # Without those that ended meanwhile, whose ports may be another program's now.
        self._remember(uid, [*self._processes.adopt(uid), *self._processes.see_ends(uid)])
        running = self._processes.running(uid)
        self.serving[uid] = tuple(each for each in running if f"{uid}/{each.name}" in self._served)
        for each in self.serving[uid]:
            self._probes.remember(uid, each)

    async def step(self, resource: ReplicaGroup, room: int) -> RunnerStep:
        uid = resource.metadata.uid
        self._remember(uid, await asyncio.to_thread(self._processes.see_ends, uid))
        running = self._processes.running(uid)
        self._probes.watch(uid, [each for each in running if not each.stopping], Checks.of(resource.spec))
        replicas = [await self._replica(uid, each) for each in running]
        plan = plan_group(resource, replicas, self._ended[uid], self._now(), room)
        self._follow(uid, plan)
        times = [plan.again_s]
        for each, reason in plan.stop:
            grace_s = resource.spec.grace_period_seconds
            times.append(await asyncio.to_thread(self._processes.stop, uid, each, reason, grace_s))
        for each in plan.start:
            await asyncio.to_thread(self._start, resource, each)
        times += [0.0] if plan.start else []  # to see what could not start, and to watch the others
        return RunnerStep(plan.status, min((each for each in times if each is not None), default=None), plan.waiting)

    async def retire(self, resource: ReplicaGroup) -> float | None:
        uid = resource.metadata.uid
        step = await self.step(replace(resource, spec=structs.replace(resource.spec, replicas=0)), 0)
        if self._processes.running(uid):
            return step.again_s
        for kept in (self._ended, self._draining, self.serving):
            kept.pop(uid, None)
        return None

    def _follow(self, uid: str, plan: GroupPlan) -> None:
        self.serving[uid] = plan.serving
        since = self._draining.get(uid, {})
        self._draining[uid] = {each.name: since.get(each.name, self._now()) for each in plan.drain}

    async def _replica(self, uid: str, attempt: Attempt) -> RunningReplica:
        since = self._draining.get(uid, {}).get(attempt.name)
        return RunningReplica(
            attempt,
            self._probes.is_ready(uid, attempt),
            self._probes.starting_since(uid, attempt),
            since,
            since is not None and not await self._is_idle(uid, attempt),
            self._probes.is_live(uid, attempt),
        )

    def _start(self, group: ReplicaGroup, attempt: Attempt) -> None:
        uid = group.metadata.uid
        attempt = replace(attempt, port=self._ports.get(uid) or free_port(self._processes.ports()))
        variables = {**self._given(group), "PORT": str(attempt.port)}
        mounted = [Mounted(variables[each.variable], each.read_only) for each in group.spec.mounts]
        machine = self._machine
        started = launch(group.spec.program, variables, machine.environment, machine.working_directory, mounted)
        if refused := self._processes.start(uid, attempt, started):
            self._remember(uid, [refused])

    def _remember(self, uid: str, ended: list[Attempt]) -> None:
        """Keep the last ended attempt of each index, and the directories of the last few."""
        kept = self._ended.setdefault(uid, {})
        for attempt in sorted(ended, key=lambda each: each.number):
            kept[attempt.index] = attempt
        for attempt in ended:
            for number in range(attempt.number - KEPT_ENDED, -1, -1):
                if not self._processes.remove_attempt(uid, attempt.index, number):
                    break
