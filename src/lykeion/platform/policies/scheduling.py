"""Which scheduled run is due: a pure function of the schedule, the last one and the time.

Cron fields are those of Debian's cron (``cronsim``), daylight saving included: a time that the clock skips is run
when it would have been, one that it repeats is run once.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from lykeion.control import AnyResource
from lykeion.core import Invalid
from lykeion.platform.resources.schedule import Schedule

from .completion import end_of, has_finished

MINUTE = timedelta(minutes=1)


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
        following = next(CronSim(schedule.cron, minute.astimezone(zone)))
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


def kept_runs(schedule: Schedule, runs: Iterable[AnyResource]) -> tuple[AnyResource, ...]:
    """All unfinished runs, and the latest finished ones up to the limits."""
    every = sorted(runs, key=lambda run: run.metadata.name)
    limits = {"Complete": schedule.succeeded_history, "Failed": schedule.failed_history}
    kept = [run for run in every if not has_finished(run.status.conditions)]
    for type_, limit in limits.items():
        ended = [run for run in every if (end := end_of(run.status.conditions)) and end.type == type_]
        kept += sorted(ended, key=_completion)[len(ended) - min(limit, len(ended)) :]
    return tuple(kept)


def active_runs(runs: Sequence[AnyResource]) -> tuple[AnyResource, ...]:
    return tuple(run for run in runs if not has_finished(run.status.conditions))


def _completion(run: AnyResource) -> tuple[datetime, str]:
    return run.status.completion_time or datetime.min.replace(tzinfo=UTC), run.metadata.name
