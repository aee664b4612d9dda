"""What an experiment has shown so far: a function of its declaration and the units that are counted."""

import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from .arm_results import ArmResult, arm_sums, compared, kind_of, minimum_events
from .events import CountedUnits, CountingRules, EventLog, EventMeasure, count_units
from .experiment_resource import Experiment, ExperimentSpec, declaration_digest
from .statistics import SRM_CONCENTRATION, difference, evidence_p, half_width, log_evidence_path

INTERLEAVED = "interleaved"
"""The arm of an exposure to answers of both arms."""
SRM_ALPHA = 0.01
MAX_GROUPS = 50


@dataclass(frozen=True)
class ExploratoryResult:
    """Of the units with one value of an attribute: found by looking at many, and no reason to decide."""

    attribute: str
    value: str
    result: ArmResult


@dataclass(frozen=True)
class ExperimentResults:
    """``data`` is the digest of all counted units. ``exposed`` and ``counted`` are units by arm."""

    experiment: str
    declaration: str
    until: float
    data: str
    exposed: tuple[int, ...]
    counted: tuple[int, ...]
    mixed: int
    mismatch_p: float
    results: tuple[ArmResult, ...]
    exploratory: tuple[ExploratoryResult, ...] = ()

    @property
    def mismatch(self) -> bool:
        """Whether units are in other shares than declared, so that nothing can be compared."""
        return self.mismatch_p < SRM_ALPHA

    def document(self) -> dict[str, Any]:
        """As JSON types; the same counted units give the same document."""
        return json.loads(json.dumps(asdict(self)))


@dataclass(frozen=True)
class Look:
    """A result after so many units."""

    units: int
    estimate: float
    low: float
    high: float


def results(
    experiment: Experiment, log: EventLog, until: float, breakdown: Sequence[str] | None = None
) -> ExperimentResults:
    """At a time, which may be past: later events change nothing. Raises EventLogError."""
    spec = experiment.spec
    counted = count_units(log, counting_rules(experiment), measures_of(spec), until)
    found = compared(spec, counted, slice(None))
    groups = tuple(_groups(spec, counted, spec.breakdown if breakdown is None else breakdown))
    arms = 1 if spec.design == "Interleaving" else len(spec.arms)
    return ExperimentResults(
        experiment.metadata.name,
        declaration_digest(spec),
        until,
        _digest(counted),
        tuple(int((counted.entered == each).sum()) for each in range(arms)),
        tuple(int((counted.arm == each).sum()) for each in range(arms)),
        counted.mixed if spec.design == "Units" else 0,
        _mismatch(spec, counted),
        tuple(found),
        groups,
    )


def looks(experiment: Experiment, log: EventLog, until: float, metric: str, arm: str, most: int = 200) -> list[Look]:
    """The difference and its interval as they were after each of up to ``most`` numbers of units; for a plot."""
    import numpy as np

    spec = experiment.spec
    number = [each.name for each in spec.metrics].index(metric)
    if spec.design == "Interleaving" or spec.metrics[number].kind == "RareEvent":
        return []
    counted = count_units(log, counting_rules(experiment), measures_of(spec), until)
    pair = (counted.arm == 0) | (counted.arm == [each.name for each in spec.arms].index(arm))
    if not pair.any():
        return []
    control, treated = arm_sums(spec, counted, number, pair, arm)
    places = np.unique(np.linspace(0, int(pair.sum()) - 1, most).astype(int))
    kind, covariate = kind_of(spec.metrics[number]), bool(spec.metrics[number].covariate_seconds)
    found = difference(kind, control.at(places), treated.at(places), covariate=covariate)
    width = half_width(found, spec.alpha, spec.tuning_units)
    enough = found.events >= minimum_events(spec.metrics[number])
    return [
        Look(int(n), float(e), float(e - w), float(e + w))
        for n, e, w, known in zip(found.n, found.estimate, width, enough, strict=True)
        if known and math.isfinite(w)
    ]


def counting_rules(experiment: Experiment) -> CountingRules:
    spec, status = experiment.spec, experiment.status
    started = status.started.timestamp() if status.started else math.inf
    return CountingRules(
        experiment.metadata.name,
        (INTERLEAVED,) if spec.design == "Interleaving" else tuple(each.name for each in spec.arms),
        float(spec.window_seconds),
        float(spec.late_seconds),
        started,
        status.stopped.timestamp() if status.stopped else math.inf,
        float(spec.period_seconds) if spec.design == "Switchback" else 0.0,
        float(spec.settle_seconds) if spec.design == "Switchback" else 0.0,
    )


def measures_of(spec: ExperimentSpec) -> list[EventMeasure]:
    """Two of each metric: the number of a unit, and its denominator, covariate or the other arm's; none is 0."""
    found: list[EventMeasure] = []
    for each in spec.metrics:
        measured = "Any" if each.kind in ("Proportion", "RareEvent") else each.measured
        if spec.design == "Interleaving":
            found += [EventMeasure(each.event, each.measured, arm=arm.name) for arm in spec.arms]
        elif each.kind == "Ratio":
            found += [EventMeasure(each.event, measured), EventMeasure(each.denominator, "Count")]
        else:
            found += [EventMeasure(each.event, measured), EventMeasure(each.event, measured, each.covariate_seconds)]
    return found


def _groups(spec: ExperimentSpec, counted: CountedUnits, attributes: Sequence[str]) -> Iterator[ExploratoryResult]:
    import numpy as np

    if not attributes or not len(counted.unit):
        return
    number_of: dict[str, int] = {}  # and no array of text, in which the longest would take its size for every unit
    places = np.asarray([number_of.setdefault(str(each), len(number_of)) for each in counted.attributes])
    read = [json.loads(each) for each in number_of]
    for attribute in attributes:
        values = [str(each.get(attribute, "")) for each in read]
        for value in sorted(set(values) - {""})[:MAX_GROUPS]:
            chosen = np.isin(places, [place for place, each in enumerate(values) if each == value])
            for each in compared(spec, counted, chosen):
                yield ExploratoryResult(attribute, value, each)


def _mismatch(spec: ExperimentSpec, counted: CountedUnits) -> float:
    """The smallest p-value of any number of units so far: it holds at every look."""
    if spec.design == "Interleaving" or not len(counted.entered):
        return 1.0
    path = log_evidence_path(counted.entered, [each.share for each in spec.arms], SRM_CONCENTRATION)
    return evidence_p(float(path.max()))


def _digest(counted: CountedUnits) -> str:
    found = hashlib.sha256()
    for row in zip(counted.unit, counted.arm, counted.at, *counted.measures, strict=True):
        found.update(repr([str(row[0]), *map(float, row[1:])]).encode())
    return f"sha256:{found.hexdigest()}"
