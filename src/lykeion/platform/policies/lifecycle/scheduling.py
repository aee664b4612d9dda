"""Which scheduled run is due: a pure function of the schedule, the last one and the time.

Cron fields are those of Debian's cron (``cronsim``), daylight saving included: a time that the clock skips is run
when it would have been, one that it repeats is run once.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError
from msgspec import structs

from lykeion.control import AnyResource, Condition, Event
from lykeion.core import Invalid
from lykeion.platform.resources.runs import Schedule

from .completion import end_of, has_finished, with_conditions

MINUTE = timedelta(minutes=1)
MAX_RUNS = 100
_LAST = datetime.max.replace(tzinfo=UTC)


class InvalidSchedule(Invalid):
    """A cron expression that no time matches, or an unknown time zone."""


@dataclass(frozen=True)
class ScheduledTimes:
    """``due`` is the latest time that is to be run now, or None; ``again_s`` are the seconds to the next."""

    due: datetime | None
    again_s: float


def scheduled_times(schedule: Schedule, last: datetime, now: datetime) -> ScheduledTimes:
    """``last`` is the time of the last run, or of the resource's creation. Raises InvalidSchedule."""
    try:
        zone = ZoneInfo(schedule.time_zone)
        minute = now.replace(second=0, microsecond=0)
        times = CronSim(schedule.cron, minute.astimezone(zone))
        following = next(each for each in times if each.astimezone(UTC) > now)  # the clock may be in a repeated hour
        latest = next(CronSim(schedule.cron, (minute + MINUTE).astimezone(zone), reverse=True))
    except (ZoneInfoNotFoundError, ValueError):
        raise InvalidSchedule(f"timeZone {schedule.time_zone!r} is not known") from None
    except (CronSimError, StopIteration) as error:
        raise InvalidSchedule(f"cron {schedule.cron!r}: {error or 'no time matches'}") from None
    earliest = max(last, now - timedelta(seconds=schedule.starting_deadline_seconds))
    due = latest.astimezone(UTC) if earliest < latest <= now else None
    return ScheduledTimes(due, (following - now).total_seconds())


def run_name(owner: AnyResource, at: datetime) -> str:
    """The name of the run at a time: the owner's and the minute since 1970, as Kubernetes' CronJob forms it."""
    return f"{owner.metadata.name[:52]}-{int(at.timestamp() // 60)}"


@dataclass(frozen=True)
class ScheduledRuns:
    """``children`` are the runs that are kept and the new one, if any."""

    status: Any
    children: tuple[AnyResource, ...]
    events: tuple[Event, ...]
    again_s: float | None


def decide_runs(
    owner: AnyResource,
    schedule: Schedule,
    new_run: Callable[[datetime], AnyResource],
    runs: Sequence[AnyResource],
    now: datetime,
) -> ScheduledRuns:
    """For an owner whose spec has ``suspend`` and whose status has the times of the schedule and ``runs``."""
    status, kept = owner.status, _kept(schedule, runs)
    events: tuple[Event, ...] = ()
    again_s = following = None
    ready = Condition(type="Ready", status="True", reason="Scheduled")
    try:
        times = scheduled_times(schedule, status.last_schedule_time or owner.metadata.creation_timestamp or now, now)
        following, again_s = now + timedelta(seconds=times.again_s), times.again_s
    except InvalidSchedule as error:
        times, ready = None, Condition(type="Ready", status="False", reason="InvalidSchedule", message=str(error))
    if owner.spec.suspend:
        ready, following, again_s = Condition(type="Ready", status="False", reason="Suspended"), None, None
    elif times and times.due:
        active = [run for run in kept if not has_finished(run.status.conditions)]
        if not active or schedule.concurrency_policy != "Forbid":
            if schedule.concurrency_policy == "Replace":
                kept = tuple(run for run in kept if run not in active)
            run = new_run(times.due)
            if all(each.metadata.name != run.metadata.name for each in kept):
                kept = (*kept, run)
            status = structs.replace(status, last_schedule_time=times.due)
            events = (Event("Normal", "RunCreated", run.metadata.name),)
    going = tuple(run.metadata.name for run in kept if not has_finished(run.status.conditions))
    status = structs.replace(status, runs=going[:MAX_RUNS], next_schedule_time=following)
    return ScheduledRuns(with_conditions(owner, status, now, ready), kept, events, again_s)


def _kept(schedule: Schedule, runs: Iterable[AnyResource]) -> tuple[AnyResource, ...]:
    """All unfinished runs, and the latest finished ones up to the limits."""
    every = sorted(runs, key=lambda run: (run.status.completion_time or _LAST, run.metadata.name))
    limits = {"Complete": schedule.succeeded_history, "Failed": schedule.failed_history}
    kept = [run for run in every if not has_finished(run.status.conditions)]
    for type_, limit in limits.items():
        ended = [run for run in every if (end := end_of(run.status.conditions)) and end.type == type_]
        kept += ended[max(0, len(ended) - limit) :]
    return tuple(kept)
