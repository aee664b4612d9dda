"""What the requests of a canary and of the stable version say of harm: see ``core.odds_ratio_test``.

Which version serves a request is drawn at random, and the weights do not change during an interval. At least three
intervals are needed, so one burst of failures that hits a single replica, or an outage of both versions, decides
nothing.
"""

import math
from collections.abc import Sequence

from lykeion.core.odds_ratio_test import BURST_GAIN, FailureTable, log_likelihood_ratio, next_logs
from lykeion.platform.resources.servings import Evidence

DECISIVE = math.log(20)
"""Natural logarithm of the evidence at which a hypothesis is rejected, falsely once in 20 times at most."""
HARM_POWERS = (0.5, 1.0, 2.0, 4.0)
"""The alternatives of ``harm``, as powers of the ratio that a user declares harmful."""


def harm(before: Evidence, table: FailureTable, ratio: float) -> Evidence:
    """Evidence that the canary fails more often than the stable version."""
    if not table.compares:
        return before
    return _updated(before, [log_likelihood_ratio(table, ratio**power, 1.0) for power in HARM_POWERS])


def no_harm(before: Evidence, table: FailureTable, ratio: float, tolerated: float) -> Evidence:
    """Evidence against harm: an odds ratio of at least ``ratio``, and failures in at least the share ``tolerated``.

    A version that fails ``ratio`` times as often has at least that odds ratio. The share is tested by the canary's
    requests alone, against tolerated / ratio: it is what can be told where nothing fails.
    """
    if not table.treated:
        return before
    relative = log_likelihood_ratio(table, 1.0, ratio) if table.compares else 0.0
    return _updated(before, [relative, _binomial_log_ratio(table, tolerated / ratio, tolerated)])


def _updated(before: Evidence, log_ratios: Sequence[float]) -> Evidence:
    interval = before.intervals + 1
    return Evidence(logs=next_logs(before.logs, interval, log_ratios, BURST_GAIN), intervals=interval)


def _binomial_log_ratio(table: FailureTable, share: float, null: float) -> float:
    served = table.treated - table.treated_failures
    return table.treated_failures * math.log(share / null) + served * math.log((1 - share) / (1 - null))
