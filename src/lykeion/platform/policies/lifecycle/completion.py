"""How resources that run to completion begin, end and are deleted: finished is final.

Their spec has ``suspend`` and ``ttl_seconds_after_finished``, their status ``start_time``, ``completion_time`` and
``conditions``.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from msgspec import structs

from lykeion.control import AnyResource, Condition, Conditions, Decision, Event, is_true, merged
from lykeion.platform.resources.plain_kinds import WORK

WAITING = {("Unschedulable", "True"), ("Running", "False")}
"""Conditions whose message says why something waits."""


def end_of(conditions: Conditions) -> Condition | None:
    """The condition with which a resource has finished, Complete or Failed; None if it has not."""
    return next((each for each in conditions if each.type in ("Complete", "Failed") and each.status == "True"), None)


def has_finished(conditions: Conditions) -> bool:
    return end_of(conditions) is not None


def waits_for(conditions: Conditions) -> str:
    """Why what has not finished does not run, or an empty string."""
    lacks = (each for each in conditions if (each.type, each.status) in WAITING and each.message)
    return next((each.message for each in lacks), "")


def started(status: Any, now: datetime) -> Any:
    """The status with its start, which is the first time that it was seen."""
    return structs.replace(status, start_time=status.start_time or now)


def left_s(since: datetime, limit_s: int, now: datetime) -> float:
    """Seconds until a limit that began at ``since`` is reached; 0 if it is."""
    return max(0.0, (since + timedelta(seconds=limit_s) - now).total_seconds())


@dataclass(frozen=True)
class Deadlines:
    """``passed`` is the reason for which a resource fails now, if any; ``again_s`` are the seconds to the next."""

    passed: str = ""
    message: str = ""
    again_s: float | None = None


def deadlines(resource: AnyResource, status: Any, begun: bool, now: datetime) -> Deadlines:
    """``begun`` is whether any program was started, so that the start deadline no longer matters."""
    spec, start = resource.spec, status.start_time or now
    limits = {"DeadlineExceeded": spec.deadline_seconds, "NotStarted": None if begun else spec.start_deadline_seconds}
    left = {reason: left_s(start, limit, now) for reason, limit in limits.items() if limit is not None}
    for reason, seconds in left.items():
        if not seconds:
            return Deadlines(reason, f"after {limits[reason]} s")
    return Deadlines(again_s=min(left.values(), default=None))


def with_conditions(resource: AnyResource, status: Any, now: datetime, *conditions: Condition) -> Any:
    """The status with conditions as observed of this generation of the resource."""
    changed = merged(status.conditions, now, *conditions, generation=resource.metadata.generation)
    return structs.replace(status, conditions=changed)


def with_progress(resource: AnyResource, status: Any, active: bool, now: datetime) -> Any:
    """The status with the conditions Suspended and Running."""
    suspended = "True" if resource.spec.suspend and not active else "False"
    return with_conditions(
        resource,
        status,
        now,
        Condition(type="Suspended", status=suspended, reason="SpecSuspend"),
        Condition(type="Running", status="True" if active else "False", reason="Active"),
    )


def progress_events(resource: AnyResource, status: Any, message: str = "") -> tuple[Event, ...]:
    """What has changed since the last status: it has started, was suspended or resumed."""
    if resource.status.start_time is None:
        return (Event("Normal", "Started", message),)
    was, now_is = is_true(resource.status.conditions, "Suspended"), is_true(status.conditions, "Suspended")
    if was != now_is:
        return (Event("Normal", "Suspended" if now_is else "Resumed", message),)
    return ()


def finish(
    resource: AnyResource,
    status: Any,
    children: Iterable[AnyResource],
    now: datetime,
    type_: Literal["Complete", "Failed"],
    reason: str,
    message: str,
) -> Decision:
    """The final decision: work that still runs is stopped, and nothing more is created."""
    status = with_conditions(
        resource,
        structs.replace(status, completion_time=now),
        now,
        Condition(type="Running", status="False", reason="Finished"),
        Condition(type=type_, status="True", reason=reason, message=message),
    )
    stopped = tuple(
        replace(each, spec=structs.replace(each.spec, stop=True)) if each.kind is WORK else each for each in children
    )
    return Decision(status, stopped, (Event("Normal" if type_ == "Complete" else "Warning", reason, message),))


def after_end(resource: AnyResource, now: datetime) -> Decision:
    """Nothing, until the time to live is over and the resource is deleted."""
    status, ttl_s = resource.status, resource.spec.ttl_seconds_after_finished
    if ttl_s is None or status.completion_time is None:
        return Decision(status)
    again_s = left_s(status.completion_time, ttl_s, now)
    return Decision(status, requeue_after_s=again_s, delete=not again_s)
