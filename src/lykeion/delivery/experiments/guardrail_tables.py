"""What guardrails of an experiment see in an interval: units of the other arms beside those of the control."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from lykeion.control import Lookup
from lykeion.core.odds_ratio_test import FailureTable
from lykeion.delivery.rollouts import HaltRule

from .events import EventLog, FirstEvents, first_events
from .experiment_resource import Experiment, ExperimentSpec
from .experiment_results import counting_rules
from .statistics import Values


@dataclass(frozen=True)
class ExperimentLook(Lookup):
    """Events received until then; the answer is an ExperimentObservation. ``counted`` has by guardrail the units of
    other arms, and of the control, whose events were counted at earlier looks: an event that was written after a look
    counts at the next."""

    experiment_uid: str
    until: datetime
    counted: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class ExperimentObservation:
    """``units`` are those that were exposed so far, by arm."""

    until: datetime
    units: tuple[int, ...]
    tables: Mapping[HaltRule, FailureTable] = field(default_factory=dict[HaltRule, FailureTable])


@dataclass(frozen=True)
class EarlierExperiment(Lookup):
    """The oldest experiment on a model or flag that has not ended, by name; empty if none is before this one."""

    subject: str
    experiment_uid: str


@dataclass(frozen=True)
class UnfitForFlag(Lookup):
    """Why an experiment cannot be on its flag, such as that there is none; empty if it can."""

    spec: ExperimentSpec


def observe_experiment(
    experiment: Experiment, log: EventLog, until: datetime, counted: Sequence[tuple[int, int]] = ()
) -> ExperimentObservation:
    """Raises EventLogError."""
    rules, guardrails = counting_rules(experiment), experiment.spec.guardrails
    earlier = counted or ((0, 0),) * len(guardrails)
    names = sorted({_event_of(each) for each in guardrails})
    seen = first_events(log, rules, names, until.timestamp(), experiment.spec.model)
    return ExperimentObservation(
        until,
        tuple(int((seen.arm == each).sum()) for each in range(len(rules.arms))),
        {rule: _table(rule, seen, *before) for rule, before in zip(guardrails, earlier, strict=True)},
    )


def _event_of(rule: HaltRule) -> str:
    """The event by which a metric is known: of the time of runs, devices report quantiles."""
    return f"p{100 * rule.quantile:.0f}_ms" if rule.metric == "ms" else rule.metric


def _table(rule: HaltRule, seen: FirstEvents, treated_before: int, control_before: int) -> FailureTable:
    """As those of a rollout: of a comparison, units that were at risk; of a limit, all since the start."""
    import numpy as np

    treated, first = seen.arm > 0, seen.first[_event_of(rule)]
    happened = ~np.isnan(first)
    if rule.above is not None:
        known = treated & happened
        return FailureTable(int(known.sum()), int((known & (seen.values[_event_of(rule)] > rule.above)).sum()), 0, 0)
    if rule.share is not None:
        return FailureTable(int(treated.sum()), int((treated & happened).sum()), 0, 0)
    return FailureTable(*_new(treated, happened, treated_before), *_new(~treated, happened, control_before))


def _new(units: Values, happened: Values, before: int) -> tuple[int, int]:
    """Units to which it had not happened before, and those to which it has now; fewer if some were deleted."""
    count, events = int(units.sum()), int((units & happened).sum())
    return max(0, count - before), max(0, events - before)
