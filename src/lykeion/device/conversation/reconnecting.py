"""When to come back, so that many devices that lost one gateway do not come back together."""

import random

FIRST_RETURN_S, MOST_RETURN_S = 1.0, 300.0


def reconnect_delay_s(failures: int, after_s: float, chance: random.Random) -> float:
    """Full jitter: anything up to a bound that doubles with each failure; and after what the server asked for."""
    return after_s + chance.uniform(0, max(min(MOST_RETURN_S, FIRST_RETURN_S * 2 ** min(failures, 20)), after_s))


def first_wait_s(period_s: float, chance: random.Random) -> float:
    """Of a periodic timer, whose phase is its own."""
    return chance.uniform(0, period_s)


def spread_s(period_s: float, chance: random.Random, part: float = 0.3) -> float:
    """A period, more or less by ``part``."""
    return period_s * chance.uniform(1 - part, 1 + part)
