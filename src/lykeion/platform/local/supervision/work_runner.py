"""Runs Work: carries out what ``plan_work`` and ``plan_gang`` decide."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from lykeion.platform.local.processes.attempt import SHUTDOWN, Attempt
from lykeion.platform.local.processes.launch import Launch, Mounted, launch
from lykeion.platform.local.processes.owned_processes import OwnedProcesses
from lykeion.platform.local.processes.peer_addresses import peer_addresses
from lykeion.platform.policies.attempts import distributed_environment
from lykeion.platform.resources.plain_kinds import Work
from lykeion.platform.resources.runs import is_for_each_item, shard_text

from .gang_plan import plan_gang
from .machine_room import LocalMachine
from .runner import RunnerStep
from .work_history import WorkHistory
from .work_plan import WorkPlan, plan_work

REMOVAL_GRACE_S = 10.0


class WorkRunner:
    """``given`` returns the variables for a resource's programs, ``machine`` their environment."""

    def __init__(
        self,
        processes: OwnedProcesses,
        given: Callable[[Any], Mapping[str, str]],
        machine: LocalMachine,
        now: Callable[[], datetime],
    ) -> None:
        self._processes, self._given, self._machine, self._now = processes, given, machine, now
        self._histories: dict[str, WorkHistory] = {}

    def adopt(self, resource: Work) -> None:
        self._histories[resource.metadata.uid] = WorkHistory(self._processes.adopt(resource.metadata.uid))

    async def step(self, resource: Work, room: int) -> RunnerStep:
        uid, spec = resource.metadata.uid, resource.spec
        await self._remember(resource, await asyncio.to_thread(self._processes.see_ends, uid))
        plan = self._plan(resource, room)
        times = [plan.again_s]
        for each, reason in plan.stop:
            times.append(await asyncio.to_thread(self._processes.stop, uid, each, reason, spec.grace_period_seconds))
        for index, number in plan.start:
            refused = await asyncio.to_thread(self._start, resource, Attempt(index, number, self._now()))
            if refused:
                await self._remember(resource, [refused])
            times.append(0.0)  # what was started is active, and may have a time limit
        return RunnerStep(plan.status, min((each for each in times if each is not None), default=None), plan.waiting)

    async def retire(self, resource: Work) -> float | None:
        uid = resource.metadata.uid
        await asyncio.to_thread(self._processes.see_ends, uid)
        left_s = await asyncio.to_thread(self._processes.stop_all, uid, SHUTDOWN, REMOVAL_GRACE_S)
        if left_s is None:
            self._histories.pop(uid, None)
        return left_s

    def _plan(self, work: Work, room: int) -> WorkPlan:
        history, active = self._histories[work.metadata.uid], self._processes.running(work.metadata.uid)
        if work.spec.roles:
            return plan_gang(work, [*history.all(), *active], self._now(), room)
        return plan_work(work, history, active, self._now(), room)

    async def _remember(self, work: Work, ended: list[Attempt]) -> None:
        """Add attempts that have ended, and delete the directories of those that need not be kept."""
        uid, history = work.metadata.uid, self._histories[work.metadata.uid]
        for each in ended:
            history.add(each)
            for old in history.forget_old(each.index, work.spec):
                await asyncio.to_thread(self._processes.remove_attempt, uid, old.index, old.number)

    def _start(self, work: Work, attempt: Attempt) -> Attempt | None:
        return self._processes.start(work.metadata.uid, attempt, self._launch(work, attempt))

    def _launch(self, work: Work, attempt: Attempt) -> Launch:
        spec, index = work.spec, attempt.index
        variables = {
            **self._given(work),
            "JOB_COMPLETION_INDEX": str(index),
            "LYKEION_RESULT": str(self._processes.result(work.metadata.uid, attempt)),
            "LYKEION_VALUE": spec.values[index] if index < len(spec.values) else "",
        }
        if spec.roles:
            place = self._processes.place(work.metadata.uid)
            addresses = peer_addresses(place, attempt.number, spec.completions)
            variables |= distributed_environment(spec.roles, addresses, index)
        mounted = [Mounted(variables[each.variable], each.read_only) for each in spec.mounts]
        mounted.append(Mounted(variables["LYKEION_RESULT"]))
        if is_for_each_item(spec.program):
            variables["LYKEION_SHARD_FILE"] = str(self._processes.shard(work.metadata.uid, attempt))
            mounted.append(Mounted(variables["LYKEION_SHARD_FILE"], read_only=True))
        machine = self._machine
        launched = launch(spec.program, variables, machine.environment, machine.working_directory, mounted)
        return replace(launched, shard=shard_text(spec, index)) if is_for_each_item(spec.program) else launched
