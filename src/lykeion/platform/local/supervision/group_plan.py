"""What to start, drain and stop of one ReplicaGroup, and its status: a pure function of its replicas.

A replica is an index below ``replicas``. It is started again whenever it ends, after a delay that grows while it
ends early. One that is to end gets no new requests first, and is stopped once it has none.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from msgspec import structs

from lykeion.platform.local.processes.attempt import NOT_LIVE, NOT_READY, SCALED, Attempt
from lykeion.platform.policies.attempts import delay_s
from lykeion.platform.resources.plain_kinds import ReplicaGroup, ReplicaGroupSpec, ReplicaGroupStatus

from .work_plan import seconds_until

STEADY_S = 300.0
"""A replica that has run so long is restarted after the shortest delay, whatever came before."""
DRAIN_LOOK_S = 0.1
"""How often a draining replica is looked at."""


@dataclass(frozen=True)
class RunningReplica:
    """A running attempt. ``starting_since`` is None once it has been ready, ``draining_since`` while it need not end.

    ``busy`` tells whether it may have requests in flight; ``live`` is false once its liveness checks have failed.
    """

    attempt: Attempt
    ready: bool = False
    starting_since: datetime | None = None
    draining_since: datetime | None = None
    busy: bool = False
    live: bool = True


@dataclass(frozen=True)
class GroupPlan:
    """``start`` holds attempts to begin; ``serving`` those that get requests; ``drain`` those that get no more.

    ``stop`` holds attempts with a reason. ``waiting`` processes would be started if there were room for them.
    """

    start: tuple[Attempt, ...]
    serving: tuple[Attempt, ...]
    drain: tuple[Attempt, ...]
    stop: tuple[tuple[Attempt, str], ...]
    status: ReplicaGroupStatus
    again_s: float | None = None
    waiting: int = 0


def plan_group(
    group: ReplicaGroup, replicas: Sequence[RunningReplica], ended: Mapping[int, Attempt], now: datetime, room: int
) -> GroupPlan:
    """``ended`` is the last ended attempt of each index; ``room``, how many more processes fit on the machine."""
    spec, busy = group.spec, {each.attempt.index for each in replicas}
    next_ones = [next_attempt(index, ended.get(index), now) for index in range(spec.replicas) if index not in busy]
    due = {each.index: _due(ended.get(each.index), each) for each in next_ones}
    ready = [each for each in next_ones if due[each.index] <= now]
    kept = [each for each in replicas if not each.attempt.stopping]
    stop = {each.attempt.name: reason for each in kept if (reason := _reason_to_stop(each, spec, now))}
    surplus = [each for each in kept if each.attempt.index >= spec.replicas and each.attempt.name not in stop]
    serving = [each for each in kept if each.ready and each not in surplus and each.attempt.name not in stop]
    times = [*due.values(), *(_limit(each, spec) for each in kept)]
    soon = DRAIN_LOOK_S if surplus else None
    stopped = [(each.attempt, each.attempt.stopping or stop.get(each.attempt.name, "")) for each in replicas]
    return GroupPlan(
        start=tuple(ready[: max(0, room)]),
        serving=tuple(each.attempt for each in serving),
        drain=tuple(each.attempt for each in surplus),
        stop=tuple((attempt, reason) for attempt, reason in stopped if reason),
        status=_status(group, replicas, len(serving), ended.values()),
        again_s=min((each for each in (seconds_until(times, now), soon) if each is not None), default=None),
        waiting=max(0, len(ready) - max(0, room)),
    )


def next_attempt(index: int, last: Attempt | None, now: datetime) -> Attempt:
    """The attempt that follows ``last``."""
    if last is None:
        return Attempt(index, 0, now)
    failures = _failures(last)
    return Attempt(index, last.number + 1, now, restarts=last.restarts + last.counts, failures=failures)


def _failures(last: Attempt) -> int:
    """How many attempts in a row have ended early."""
    assert last.ended
    ran_s = (last.ended - last.started).total_seconds()
    return last.failures if not last.counts else 1 if ran_s >= STEADY_S else last.failures + 1


def _due(last: Attempt | None, following: Attempt) -> datetime:
    """Now if the last attempt ended in the future: the clock was set back."""
    if last is None or last.ended is None or not last.counts or last.ended > following.started:
        return following.started
    return last.ended + timedelta(seconds=delay_s(following.failures))


def _limit(replica: RunningReplica, spec: ReplicaGroupSpec) -> datetime | None:
    """When a replica is stopped if nothing happens before."""
    if replica.attempt.index >= spec.replicas:
        return replica.draining_since and replica.draining_since + timedelta(seconds=spec.drain_seconds)
    return replica.starting_since and replica.starting_since + timedelta(seconds=spec.readiness.startup_seconds)


def _reason_to_stop(replica: RunningReplica, spec: ReplicaGroupSpec, now: datetime) -> str:
    limit = _limit(replica, spec)
    late = limit is not None and limit <= now
    if replica.attempt.index < spec.replicas:
        return NOT_READY if late else "" if replica.live else NOT_LIVE
    return SCALED if late or (replica.draining_since and not replica.busy) else ""


def _status(
    group: ReplicaGroup, replicas: Sequence[RunningReplica], ready: int, ended: Iterable[Attempt]
) -> ReplicaGroupStatus:
    last = {each.index: each for each in ended}
    running = {each.attempt.index: each.attempt for each in replicas}
    restarts = sum(each.restarts + each.counts for each in {**last, **running}.values())
    status = structs.replace(group.status, replicas=len(replicas), ready=ready, restarts=restarts)
    exits = [(each.ended, each) for each in last.values() if each.ended and each.counts]
    at, exit = max(exits, key=lambda each: each[0], default=(None, None))
    if at is None or exit is None or (status.last_exit_time and at <= status.last_exit_time):
        return status
    return structs.replace(status, last_exit=exit.failure().words()[:512], last_exit_time=at)
