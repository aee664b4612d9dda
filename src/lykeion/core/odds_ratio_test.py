"""Sequential tests of whether a treated group fails more often than a control group, valid at every look.

Of the ``n`` trials of an interval the treated group had some, and of the ``f`` failures some are its own. Trials are
assigned at random, so if both groups fail alike, the treated group's failures given ``n``, ``f`` and its trials are
hypergeometric, whatever the traffic, the shares and the common rate of failure are. With an odds ratio of failing
other than 1 they follow Fisher's noncentral hypergeometric distribution (Fog, 2008). Nothing is pooled over
intervals: where shares move while the rate of failure does, pooled counts differ between equal groups.

The product of the intervals' likelihood ratios is an e-process: if the null hypothesis is true, it ever reaches 20
with a probability of at most 1/20, however often it is looked at (Ville's inequality; Grünwald, de Heide, Koolen:
Safe testing, 2024; Ramdas et al.: Game-theoretic statistics and safe anytime-valid inference, 2023). The ratios are
monotone in the treated group's failures, so the null may be "at most" or "at least" an odds ratio. It is averaged
over

- alternatives, since how harmful a treatment is is not known;
- the interval from which on the alternative holds, by weights 1/(t (t+1)), so that hours of health do not hide a
  treatment that fails later (Shin, Ramdas, Rinaldo: E-detectors, 2024).

A limit to what one interval multiplies it by keeps it an e-process. Where failures come in bursts, such as those of
one replica, ``BURST_GAIN`` is such a limit: at least three intervals are needed to reach 20.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

BURST_GAIN = math.log(4)
"""The most that one interval adds to the logarithm where its failures are not independent."""
_NEGLIGIBLE = 1e-17


class FailureTable(NamedTuple):
    """The trials of one interval, during which the shares of the groups did not change."""

    treated: int
    treated_failures: int
    control: int
    control_failures: int

    @property
    def failures(self) -> int:
        return self.treated_failures + self.control_failures

    @property
    def fewest(self) -> int:
        """The smallest number of the failures that can be the treated group's."""
        return max(0, self.failures - self.control)

    @property
    def most(self) -> int:
        return min(self.failures, self.treated)

    @property
    def compares(self) -> bool:
        """Whether the treated group could have had another number of the failures."""
        return self.fewest < self.most


def log_average(processes: Sequence[Sequence[float]]) -> float:
    """The logarithm of the average of e-processes, which is one; -inf before the first interval.

    Each is given by its logarithm for each alternative.
    """
    logs = [log - math.log(len(each)) for each in processes for log in each]
    return log_sum(logs) - math.log(len(processes)) if logs else -math.inf


def next_logs(
    logs: Sequence[float], interval: int, log_ratios: Sequence[float], max_gain: float = math.inf
) -> tuple[float, ...]:
    """An e-process after its ``interval``-th interval, counted from 1, whose likelihood ratios are given."""
    begins = -math.log(interval * (interval + 1))
    before = logs or (-math.inf,) * len(log_ratios)
    gains = (min(each, max_gain) for each in log_ratios)
    return tuple(log_sum((log, begins)) + gain for log, gain in zip(before, gains, strict=True))


def log_likelihood_ratio(table: FailureTable, odds_ratio: float, null: float) -> float:
    return log_likelihood(table, odds_ratio) - log_likelihood(table, null)


def log_likelihood(table: FailureTable, odds_ratio: float) -> float:
    """Logarithm of the probability that so many of the failures are the treated group's."""
    return _log_weight(table, table.treated_failures, odds_ratio) - _log_total(table, odds_ratio)


def _log_weight(table: FailureTable, failures: int, odds_ratio: float) -> float:
    ways = _log_choose(table.treated, failures) + _log_choose(table.control, table.failures - failures)
    return ways + failures * math.log(odds_ratio)


def _log_total(table: FailureTable, odds_ratio: float) -> float:
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


def _step(table: FailureTable, failures: int, odds_ratio: float) -> float:
    """The weight of one failure more, divided by that of ``failures``."""
    left = table.failures - failures
    return odds_ratio * (table.treated - failures) * left / ((failures + 1) * (table.control - left + 1))


def _mode(table: FailureTable, odds_ratio: float) -> int:
    """Of Fisher's noncentral hypergeometric distribution: where ``_step`` falls below 1."""
    a = odds_ratio - 1
    b = table.failures - table.control - (table.treated + table.failures + 2) * odds_ratio
    c = (table.treated + 1) * (table.failures + 1) * odds_ratio
    mode = math.floor(2 * c / (math.sqrt(b * b - 4 * a * c) - b))
    return min(max(mode, table.fewest), table.most)


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def log_sum(logs: Sequence[float]) -> float:
    greatest = max(logs)
    return greatest + math.log(sum(math.exp(each - greatest) for each in logs))
