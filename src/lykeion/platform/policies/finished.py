"""A finished resource stays finished, and is deleted after its time to live."""

from datetime import datetime, timedelta

from lykeion.control import Condition, Conditions


def end_of(conditions: Conditions) -> Condition | None:
    """The condition with which a resource has finished, Complete or Failed; None if it has not."""
    return next((each for each in conditions if each.type in ("Complete", "Failed") and each.status == "True"), None)


def has_finished(conditions: Conditions) -> bool:
    return end_of(conditions) is not None


def seconds_to_live(completed: datetime | None, ttl_s: int | None, now: datetime) -> float | None:
    """Seconds until a resource that finished at ``completed`` is deleted; None for never."""
    if completed is None or ttl_s is None:
        return None
    return max(0.0, (completed + timedelta(seconds=ttl_s) - now).total_seconds())
