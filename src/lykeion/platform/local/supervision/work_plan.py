"""What to start and stop of one Work, and its status: a pure function of the attempts so far."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from msgspec import structs

from lykeion.control import Condition, merged
from lykeion.platform.local.processes.attempt import FINISHED, SUSPENDED, TIME_LIMIT, Attempt
from lykeion.platform.policies.attempts import delay_s
from lykeion.platform.resources.plain_kinds import Work, WorkSpec, WorkStatus, from_ranges, to_ranges, to_used

from .work_history import LIMIT_FAILURES, WorkHistory


@dataclass(frozen=True)
class WorkPlan:
    """``start`` holds indexes with the number of the attempt; ``stop``, attempts with a reason.

    ``waiting`` processes would be started if there were room for them.
    """

    start: tuple[tuple[int, int], ...]
    stop: tuple[tuple[Attempt, str], ...]
    status: WorkStatus
    again_s: float | None = None
    waiting: int = 0


def plan_work(work: Work, history: WorkHistory, active: Sequence[Attempt], now: datetime, room: int) -> WorkPlan:
    """``active`` are the running attempts; ``room`` is how many more processes fit on the machine."""
    spec, busy = work.spec, {each.index for each in active}
    done = from_ranges(spec.done, spec.completions) | history.done
    failed = history.failed(spec) - done - busy
    occupied = done | failed | busy
    waiting = [index for index in range(spec.completions) if index not in occupied]
    due = {index: due_time(history.failures[index], now) for index in waiting if index in history.failures}
    ready = [index for index in waiting if (due.get(index) or now) <= now]
    idle = spec.suspend or spec.stop
    wanted = [] if idle else ready[: max(0, spec.parallelism - len(active))]
    start = wanted[:room]
    times = [*(() if idle else due.values()), *(limit(each, work) for each in active)]
    begun = history.begun + len(active)
    used = to_used(history.used(spec))
    status = structs.replace(work.status, attempts=begun, active=to_ranges(busy), used=used, result=history.result)
    return WorkPlan(
        tuple((index, history.next_number(index)) for index in start),
        tuple((each, reason) for each in active if (reason := reason_to_stop(each, work, now))),
        ended(status, spec, done, failed, history.latest_failures, now),
        seconds_until(times, now),
        len(wanted) - len(start),
    )


def due_time(failures: Sequence[Attempt], now: datetime) -> datetime | None:
    """When the attempt that follows these failures may start: now if they lie in the future, so the clock was set."""
    last = failures[-1].ended if failures else None
    return last and (now if last > now else last + timedelta(seconds=delay_s(len(failures))))


def limit(attempt: Attempt, work: Work) -> datetime | None:
    seconds = work.spec.time_limit_seconds
    return None if seconds is None else attempt.started + timedelta(seconds=seconds)


def reason_to_stop(attempt: Attempt, work: Work, now: datetime) -> str:
    latest = limit(attempt, work)
    if attempt.stopping:
        return attempt.stopping
    if work.spec.stop:
        return FINISHED
    if work.spec.suspend:
        return SUSPENDED
    return TIME_LIMIT if latest is not None and latest <= now else ""


def seconds_until(times: Iterable[datetime | None], now: datetime) -> float | None:
    """Seconds until the first of the times to come."""
    return min((max(0.0, (time - now).total_seconds()) for time in times if time and time > now), default=None)


def ended(
    status: WorkStatus,
    spec: WorkSpec,
    done: Collection[int],
    failed: Collection[int],
    failures: Iterable[Attempt],
    now: datetime,
) -> WorkStatus:
    """The status with the indexes that have ended, the latest failures, and the end of all, once it has come."""
    latest = sorted(failures, key=lambda each: (each.ended, each.index))[-LIMIT_FAILURES:]
    conditions = status.conditions
    if len(done) + len(failed) == spec.completions:
        end = "Failed" if failed else "Complete"
        message = f"{len(done)} of {spec.completions}"
        conditions = merged(conditions, now, Condition(type=end, status="True", reason="Ended", message=message))
    return structs.replace(
        status,
        succeeded=to_ranges(done),
        failed=to_ranges(failed),
        failures=tuple(each.failure() for each in latest),
        conditions=conditions,
    )
