"""Whether the reports of devices say that a rollout has to halt: one e-process for each rule."""

import math
from collections.abc import Mapping, Sequence

from msgspec import structs

from lykeion.core.odds_ratio_test import FailureTable, log_average, log_likelihood_ratio, next_logs

from .rollout_resource import HaltRule, RuleEvidence

RATIO_POWERS = (0.5, 1.0, 2.0, 4.0)
"""The alternatives of a comparison, as powers of the ratio that the rule names."""
EXCESSES = (0.05, 0.15, 0.4, 0.8)
"""The alternatives of a limit: so far from the share that is allowed to 1."""


def with_observation(
    evidence: Sequence[RuleEvidence], rules: Sequence[HaltRule], seen: Mapping[HaltRule, FailureTable]
) -> tuple[RuleEvidence, ...]:
    """The evidence with one more interval."""
    before = evidence if len(evidence) == len(rules) else (RuleEvidence(),) * len(rules)
    empty = FailureTable(0, 0, 0, 0)
    tables = (seen.get(rule, empty) for rule in rules)
    return tuple(_updated(*each) for each in zip(before, rules, tables, strict=True))


def halting_rule(
    rules: Sequence[HaltRule], alpha: float, evidence: Sequence[RuleEvidence]
) -> tuple[HaltRule, RuleEvidence] | None:
    """The first rule by which it halts. All together halt a harmless version with a probability of at most alpha."""
    decisive = math.log(len(rules) / alpha) if rules else math.inf
    for rule, each in zip(rules, evidence, strict=False):
        if each.moved_events >= rule.minimum_events and log_average([each.logs]) >= decisive:
            return rule, each
    return None


def allowed_share(rule: HaltRule) -> float:
    """Of the devices that moved, by a limit: a quantile of .9 is above a value if more than .1 are."""
    return rule.share if rule.share is not None else 1 - rule.quantile


def _updated(before: RuleEvidence, rule: HaltRule, table: FailureTable) -> RuleEvidence:
    return _limited(rule, table) if rule.ratio is None else _compared(before, rule.ratio, table)


def _compared(before: RuleEvidence, ratio: float, table: FailureTable) -> RuleEvidence:
    """The exact form of the safe logrank test: an interval's first events are hypergeometric given those at risk.

    They are of different devices, so one interval may decide: a version that crashes everywhere does so at once.
    """
    counted = structs.replace(
        before,
        moved=before.moved + table.treated,
        moved_events=before.moved_events + table.treated_failures,
        others=before.others + table.control,
        other_events=before.other_events + table.control_failures,
    )
    if not table.compares:
        return counted
    ratios = [log_likelihood_ratio(table, ratio**power, 1.0) for power in RATIO_POWERS]
    interval = before.intervals + 1
    return structs.replace(counted, logs=next_logs(before.logs, interval, ratios), intervals=interval)


def _limited(rule: HaltRule, table: FailureTable) -> RuleEvidence:
    """Binomial, of all devices so far.

    It is valid at every look: for a number of devices it grows with the events, which only become more, and from
    device to device it is an e-process.
    """
    allowed = allowed_share(rule)
    with_it, without = table.treated_failures, table.treated - table.treated_failures
    shares = (allowed + each * (1 - allowed) for each in EXCESSES)
    logs = [with_it * math.log(each / allowed) + without * math.log((1 - each) / (1 - allowed)) for each in shares]
    return RuleEvidence(logs=tuple(logs), moved=table.treated, moved_events=table.treated_failures)
