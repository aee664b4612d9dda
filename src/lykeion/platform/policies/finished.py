"""A finished resource stays finished, and is deleted after its time to live."""

from datetime import datetime, timedelta

from lykeion.control import Conditions, is_true


def has_finished(conditions: Conditions) -> bool:
    return is_true(conditions, "Complete") or is_true(conditions, "Failed")


def seconds_to_live(completed: datetime | None, ttl_s: int | None, now: datetime) -> float | None:
    """Seconds until a resource that finished at ``completed`` is deleted; None for never."""
    if completed is None or ttl_s is None:
        return None
    return max(0.0, (completed + timedelta(seconds=ttl_s) - now).total_seconds())
