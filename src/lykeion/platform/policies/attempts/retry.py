"""When a failed attempt is retried."""

FIRST_DELAY_S = 1.0
LAST_DELAY_S = 60.0
LIMIT_DOUBLINGS = 32
"""A power beyond what a float holds is an error, which would come after hours of failures."""


def delay_s(failures: int) -> float:
    """Seconds between the last of this many consecutive failures and the next attempt."""
    return min(FIRST_DELAY_S * 2.0 ** min(failures - 1, LIMIT_DOUBLINGS), LAST_DELAY_S)
