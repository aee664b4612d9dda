"""When a failed attempt is retried."""

FIRST_DELAY_S = 1.0
LAST_DELAY_S = 60.0


def delay_s(failures: int) -> float:
    """Seconds between the last of this many consecutive failures and the next attempt."""
    return min(FIRST_DELAY_S * 2.0 ** (failures - 1), LAST_DELAY_S)
