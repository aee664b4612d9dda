"""A sequential test of a canary against the stable version, valid at every look, whatever drifts for both alike.

Of the ``n`` requests of an interval the canary served some, and of the ``f`` failures some are its own. Which version
serves a request is drawn at random, so if both fail alike, the canary's failures given ``n``, ``f`` and its requests
are hypergeometric, whatever the traffic, the weights and the common rate of failure are. With an odds ratio of
failing other than 1 they follow Fisher's noncentral hypergeometric distribution (Fog, 2008). Nothing is pooled over
intervals: where weights move while the rate of failure does, pooled counts differ between equal versions.

The product of the intervals' likelihood ratios is an e-process: if the null hypothesis is true, it ever reaches 20
with a probability of at most 1/20, however often it is looked at (Ville's inequality; Grünwald, de Heide, Koolen:
Safe testing, 2024; Ramdas et al.: Game-theoretic statistics and safe anytime-valid inference, 2023). The ratios are
monotone in the canary's failures, so the null may be "at most" or "at least" an odds ratio. It is averaged over

- alternatives, since how harmful a version is is not known;
- the interval from which on the alternative holds, by weights 1/(t (t+1)), so that hours of health do not hide a
  version that fails later (Shin, Ramdas, Rinaldo: E-detectors, 2024).

One interval multiplies it by at most 4, which keeps it an e-process. At least three are needed, so one burst of
failures that hits a single replica, or an outage of both versions, decides nothing.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from lykeion.platform.resources.canary import Evidence

DECISIVE = math.log(20)
"""Natural logarithm of the evidence at which a hypothesis is rejected, falsely once in 20 times at most."""
MAX_GAIN = math.log(4)
"""Of one interval."""
HARM_POWERS = (0.5, 1.0, 2.0, 4.0)
"""The alternatives of ``harm``, as powers of the ratio that a user declares harmful."""
_NEGLIGIBLE = 1e-17


class Table(NamedTuple):
    """The requests of one interval, during which the weights did not change."""

    canary: int
    canary_failures: int
    stable: int
    stable_failures: int

    @property
    def failures(self) -> int:
        return self.canary_failures + self.stable_failures

    @property
    def fewest(self) -> int:
        """The smallest number of the failures that can be the canary's."""
        return max(0, self.failures - self.stable)

    @property
    def most(self) -> int:
        return min(self.failures, self.canary)

    @property
    def compares(self) -> bool:
        """Whether the canary could have had another number of the failures."""
        return self.fewest < self.most


def harm(before: Evidence, table: Table, ratio: float) -> Evidence:
    """Evidence that the canary fails more often than the stable version."""
    if not table.compares:
        return before
    return _updated(before, [log_likelihood_ratio(table, ratio**power, 1.0) for power in HARM_POWERS])


def no_harm(before: Evidence, table: Table, ratio: float, tolerated: float) -> Evidence:
    """Evidence against harm: an odds ratio of at least ``ratio``, and failures in at least the share ``tolerated``.

    A version that fails ``ratio`` times as often has at least that odds ratio. The share is tested by the canary's
    requests alone, against tolerated / ratio: it is what can be told where nothing fails.
    """
    if not table.canary:
        return before
    relative = log_likelihood_ratio(table, 1.0, ratio) if table.compares else 0.0
    return _updated(before, [relative, _binomial_log_ratio(table, tolerated / ratio, tolerated)])


def log_average(evidence: Sequence[Evidence]) -> float:
    """The logarithm of the average of e-processes, which is one; -inf before the first interval."""
    logs = [log - math.log(len(each.logs)) for each in evidence for log in each.logs]
    return _log_sum(logs) - math.log(len(evidence)) if logs else -math.inf


def log_likelihood_ratio(table: Table, odds_ratio: float, null: float) -> float:
    return log_likelihood(table, odds_ratio) - log_likelihood(table, null)


def log_likelihood(table: Table, odds_ratio: float) -> float:
    """Logarithm of the probability that so many of the failures are the canary's."""
    return _log_weight(table, table.canary_failures, odds_ratio) - _log_total(table, odds_ratio)


def _updated(before: Evidence, log_ratios: Sequence[float]) -> Evidence:
    interval = before.intervals + 1
    begins = -math.log(interval * (interval + 1))
    logs = before.logs or (-math.inf,) * len(log_ratios)
    return Evidence(
        logs=tuple(_log_sum((log, begins)) + min(gain, MAX_GAIN) for log, gain in zip(logs, log_ratios, strict=True)),
        intervals=interval,
    )


def _binomial_log_ratio(table: Table, share: float, null: float) -> float:
    served = table.canary - table.canary_failures
    return table.canary_failures * math.log(share / null) + served * math.log((1 - share) / (1 - null))


def _log_weight(table: Table, failures: int, odds_ratio: float) -> float:
    ways = _log_choose(table.canary, failures) + _log_choose(table.stable, table.failures - failures)
    return ways + failures * math.log(odds_ratio)


def _log_total(table: Table, odds_ratio: float) -> float:
    """The sum of the weights of all outcomes, from the mode outwards until the terms are negligible."""
    mode = _mode(table, odds_ratio)
    total = term = 1.0
    for failures in range(mode, table.most):
        term *= _step(table, failures, odds_ratio)
        total += term
        if term < _NEGLIGIBLE:
            break
    term = 1.0
    for failures in range(mode - 1, table.fewest - 1, -1):
        term /= _step(table, failures, odds_ratio)
        total += term
        if term < _NEGLIGIBLE:
            break
    return _log_weight(table, mode, odds_ratio) + math.log(total)


def _step(table: Table, failures: int, odds_ratio: float) -> float:
    """The weight of one failure more, divided by that of ``failures``."""
    left = table.failures - failures
    return odds_ratio * (table.canary - failures) * left / ((failures + 1) * (table.stable - left + 1))


def _mode(table: Table, odds_ratio: float) -> int:
    """Of Fisher's noncentral hypergeometric distribution: where ``_step`` falls below 1."""
    a = odds_ratio - 1
    b = table.failures - table.stable - (table.canary + table.failures + 2) * odds_ratio
    c = (table.canary + 1) * (table.failures + 1) * odds_ratio
    mode = math.floor(2 * c / (math.sqrt(b * b - 4 * a * c) - b))
    return min(max(mode, table.fewest), table.most)


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def _log_sum(logs: Sequence[float]) -> float:
    greatest = max(logs)
    return greatest + math.log(sum(math.exp(each - greatest) for each in logs))
