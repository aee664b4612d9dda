"""What to start and stop of one Work, and its status: a pure function of the attempts so far."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from msgspec import structs

from lykeion.control import Condition, merged
from lykeion.platform.local.processes.attempt import FINISHED, SUSPENDED, TIME_LIMIT, Attempt
from lykeion.platform.policies.failure_rules import action_for
from lykeion.platform.policies.retry import delay_s
from lykeion.platform.resources.index_ranges import from_ranges, to_ranges
from lykeion.platform.resources.work import Work, WorkSpec, WorkStatus

LIMIT_FAILURES = 10


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


def plan_work(work: Work, attempts: Sequence[Attempt], now: datetime, room: int) -> WorkPlan:
    """``room`` is how many more processes fit on the machine."""
    spec, by_index = work.spec, _by_index(attempts)
    active = [each for each in attempts if each.ended is None]
    busy = {each.index for each in active}
    done = from_ranges(spec.done, spec.completions) | {each.index for each in attempts if each.succeeded}
    failures = {index: failed for index, tried in by_index.items() if (failed := [each for each in tried if each.failed])}
    occupied = done | busy
    failed = {index for index, tried in failures.items() if index not in occupied and used_up(spec, tried)}
    occupied |= failed
    waiting = [index for index in range(spec.completions) if index not in occupied]
    due = {index: due_time(failures.get(index, ())) for index in waiting}
    ready = [index for index in waiting if (due[index] or now) <= now]
    idle = spec.suspend or spec.stop
    wanted = [] if idle else ready[: max(0, spec.parallelism - len(active))]
    start = wanted[:room]
    times = [*(due[index] for index in waiting if not idle), *(limit(each, work) for each in active)]
    result = next((each.result for each in by_index.get(0, ()) if each.succeeded), "")
    status = structs.replace(work.status, attempts=len(attempts), active=to_ranges(busy), result=result)
    return WorkPlan(
        tuple((index, len(by_index.get(index, ()))) for index in start),
        tuple((each, reason) for each in active if (reason := reason_to_stop(each, work, now))),
        ended(status, spec, done, failed, [each for tried in failures.values() for each in tried], now),
        seconds_until(times, now),
        len(wanted) - len(start),
    )


def used_up(spec: WorkSpec, failures: Sequence[Attempt]) -> bool:
    """Whether no attempt may follow these failures."""
    actions = [action_for(spec.on_failure, each.exit_code, each.reason) for each in failures]
    return "Fail" in actions or actions.count("Retry") > spec.retries


def due_time(failures: Sequence[Attempt]) -> datetime | None:
    """When the attempt that follows these failures may start."""
    last = failures[-1].ended if failures else None
    return last and last + timedelta(seconds=delay_s(len(failures)))


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


def _by_index(attempts: Iterable[Attempt]) -> dict[int, list[Attempt]]:
    found: dict[int, list[Attempt]] = {}
    for attempt in sorted(attempts, key=lambda each: each.number):
        found.setdefault(attempt.index, []).append(attempt)
    return found
