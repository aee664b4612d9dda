"""An arm beside the control: estimates, intervals that hold at every look, and what they say."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from .events import CountedUnits
from .experiment_resource import ExperimentMetric, ExperimentSpec
from .statistics import (
    MINIMUM_EVENTS,
    RATE_CONCENTRATION,
    ArmSums,
    MetricKind,
    Values,
    arm_value,
    corrected,
    difference,
    evidence_p,
    half_width,
    log_evidence,
    p_value,
    rate_ratio,
    running_sums,
    winsorised,
)

Verdict: TypeAlias = Literal["better", "worse", "unclear", "too early"]


@dataclass(frozen=True)
class ArmResult:
    """An arm beside the control, by one metric.

    Of rare events and of interleaving the interval is that of the rates' ratio minus 1, in ``relative``. Of
    interleaving, ``control`` and ``value`` are the shares of units that chose more answers of an arm.
    """

    metric: str
    arm: str
    units: tuple[int, int]
    control: float | None
    value: float | None
    difference: float | None
    low: float | None
    high: float | None
    relative: float | None
    relative_low: float | None
    relative_high: float | None
    p: float
    corrected_p: float
    events: float
    verdict: Verdict


def compared(spec: ExperimentSpec, counted: CountedUnits, chosen: Any) -> Iterator[ArmResult]:
    """``chosen`` units; p-values are corrected over all metrics and arms."""
    if spec.design == "Interleaving":
        found = [_preferred(spec, counted, number, chosen) for number in range(len(spec.metrics))]
    else:
        found = [
            _beside_control(spec, counted, number, arm, chosen)
            for number in range(len(spec.metrics))
            for arm in range(1, len(spec.arms))
        ]
    ps = corrected([each.p for each in found], spec.correction)
    for each, p in zip(found, ps, strict=True):
        metric = next(one for one in spec.metrics if one.name == each.metric)
        yield replace(each, corrected_p=p, verdict=_verdict(spec, metric, each, p))


def _beside_control(spec: ExperimentSpec, counted: CountedUnits, number: int, arm: int, chosen: Any) -> ArmResult:
    import numpy as np

    metric, name = spec.metrics[number], spec.arms[arm].name
    mask = np.zeros(len(counted.arm), bool)
    mask[chosen] = True
    control, treated = (
        (each.at(-1) if mask.any() else ArmSums()) for each in arm_sums(spec, counted, number, mask, name)
    )
    units = (int(control.n), int(treated.n))
    if metric.kind == "RareEvent":
        share = spec.arms[arm].share / (spec.arms[arm].share + spec.arms[0].share)
        return _rare(metric, name, units, (int(control.y), int(treated.y)), share, spec.alpha)
    kind, covariate = kind_of(metric), bool(metric.covariate_seconds)
    found, shared = (difference(kind, control, treated, covariate=covariate, relative=each) for each in (False, True))
    widths = [half_width(each, spec.alpha, spec.tuning_units) for each in (found, shared)]
    return ArmResult(
        metric.name,
        name,
        units,
        _number(arm_value(kind, control)),
        _number(arm_value(kind, treated)),
        _number(found.estimate),
        _number(found.estimate - widths[0]),
        _number(found.estimate + widths[0]),
        _number(shared.estimate),
        _number(shared.estimate - widths[1]),
        _number(shared.estimate + widths[1]),
        float(p_value(found, spec.alpha, spec.tuning_units)) if _enough(spec, metric, units, found.events) else 1.0,
        1.0,
        float(found.events),
        "unclear",
    )


def _preferred(spec: ExperimentSpec, counted: CountedUnits, number: int, chosen: Any) -> ArmResult:
    """Interleaving: of the units that chose more answers of one arm, half prefer each, if the arms are alike."""
    first, second = (counted.measures[2 * number + each][chosen] for each in (0, 1))
    wins = (int((first > second).sum()), int((second > first).sum()))
    return _rare(spec.metrics[number], spec.arms[1].name, (len(first), len(first)), wins, 0.5, spec.alpha)


def _rare(
    metric: ExperimentMetric, arm: str, units: tuple[int, int], events: tuple[int, int], share: float, alpha: float
) -> ArmResult:
    low, high = rate_ratio(events[1], events[0], share, alpha)
    rates = [each / n if n else math.nan for each, n in zip(events, units, strict=True)]
    ratio = rates[1] / rates[0] if rates[0] else math.nan
    p = evidence_p(log_evidence((events[1], events[0]), (share, 1 - share), RATE_CONCENTRATION))
    return ArmResult(
        metric.name,
        arm,
        units,
        _number(rates[0]),
        _number(rates[1]),
        _number(rates[1] - rates[0]),
        None,
        None,
        _number(ratio - 1),
        _number(low - 1),
        _number(high - 1),
        p,
        1.0,
        float(min(events)),
        "unclear",
    )


def arm_sums(
    spec: ExperimentSpec, counted: CountedUnits, number: int, mask: Values, arm: str
) -> tuple[ArmSums, ArmSums]:
    """Of the control and an arm, after each unit of ``mask``."""
    metric, which = spec.metrics[number], [each.name for each in spec.arms].index(arm)
    y = winsorised(counted.measures[2 * number][mask], metric.limit)
    other, arms = counted.measures[2 * number + 1][mask], counted.arm[mask]
    d = other if metric.kind == "Ratio" else None
    x = winsorised(other, metric.limit) if metric.covariate_seconds else None
    return running_sums(arms == 0, y, d, x), running_sums(arms == which, y, d, x)


def _verdict(spec: ExperimentSpec, metric: ExperimentMetric, found: ArmResult, p: float) -> Verdict:
    exact = metric.kind == "RareEvent" or spec.design == "Interleaving"
    if min(found.units) < spec.minimum_units or (not exact and found.events < minimum_events(metric)):
        return "too early"
    if p > spec.alpha or found.difference is None:
        return "unclear"
    return "better" if (found.difference > 0) == (metric.direction == "Increase") else "worse"


def _enough(spec: ExperimentSpec, metric: ExperimentMetric, units: tuple[int, int], events: Any) -> bool:
    return min(units) >= spec.minimum_units and bool(events >= minimum_events(metric))


def minimum_events(metric: ExperimentMetric) -> int:
    return MINIMUM_EVENTS[kind_of(metric)] if metric.minimum_events is None else metric.minimum_events


def kind_of(metric: ExperimentMetric) -> MetricKind:
    return "Proportion" if metric.kind == "RareEvent" else metric.kind


def _number(value: Any) -> float | None:
    """JSON has no NaN and no infinity."""
    return float(value) if math.isfinite(value) else None
