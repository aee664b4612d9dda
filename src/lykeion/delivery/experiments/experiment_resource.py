"""Experiment: variants of a model or flag that units are assigned to by lot, and what is declared beforehand.

All that decides a result is declared, fixed from the start, and hashed into the record.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, cast

from msgspec import Meta, convert, structs, to_builtins

from lykeion.control import (
    ChangeRule,
    Column,
    Conditions,
    Name,
    Once,
    Resource,
    ResourceError,
    ResourceKind,
    SpecRule,
    Time,
    Wire,
    read_resource,
)
from lykeion.core.digest import digest_json
from lykeion.core.documents import json_value, read_yaml
from lykeion.core.fields import Fields
from lykeion.core.grammar import parse
from lykeion.delivery.rollouts import HaltRule, RuleEvidence

MAX_ARMS, MAX_METRICS, MAX_GUARDRAILS = 8, 16, 16
EventName = Annotated[
    str,
    Meta(
        max_length=63,
        pattern=r"^[a-z][a-z0-9_]*\Z",
        extra={"must be": "the name of an event, such as click or exposure"},
    ),
]
Seconds = Annotated[int, Meta(ge=0, le=31_536_000)]


class ExperimentArm(Wire, frozen=True):
    """A variant. The first arm is the control, with which the others are compared."""

    name: Annotated[Name, Meta(description="Such as `control` or `treatment`.")]
    share: Annotated[float, Meta(gt=0, lt=1, description="Of the units; those of all arms add up to 1.")]
    version: Annotated[
        str, Meta(max_length=255, description="Of the model: a version, an alias or a digest, resolved at the start.")
    ] = ""
    value: Annotated[str, Meta(max_length=4096, description="Of the flag, as JSON.")] = ""


class ExperimentMetric(Wire, frozen=True):
    """A number of each unit, from its events within the outcome window."""

    name: Annotated[Name, Meta(description="In results.")]
    kind: Annotated[
        Literal["Proportion", "Mean", "Ratio", "RareEvent"],
        Meta(
            description="`Proportion`: units that have the event. `Mean`: of its number or sum. `Ratio`: of two"
            " events, each added up. `RareEvent`: as a proportion, compared exactly."
        ),
    ]
    event: Annotated[EventName, Meta(description="What is counted.")]
    denominator: Annotated[str, Meta(max_length=63, description="Of a ratio: the event below the line.")] = ""
    measured: Annotated[
        Literal["Count", "Sum"], Meta(description="How many events there were, or the sum of their values.")
    ] = "Count"
    direction: Annotated[Literal["Increase", "Decrease"], Meta(description="What is better.")] = "Increase"
    limit: Annotated[float, Meta(gt=0, description="No unit counts for more than this (winsorising).")] | None = None
    covariate_seconds: Annotated[
        Seconds, Meta(description="The same events from so long before the exposure narrow the interval (CUPED).")
    ] = 0
    minimum_events: (
        Annotated[
            int,
            Meta(
                ge=5, le=100_000, description="In each arm, or it is not compared: 20 of proportions, 40 of others."
            ),
        ]
        | None
    ) = None

    rules: ClassVar[tuple[SpecRule, ...]] = (
        SpecRule(
            "a ratio has a denominator, and nothing else has",
            "(self.kind == 'Ratio') == (has(self.denominator) && self.denominator != '')",
            lambda metric: (metric.kind == "Ratio") == bool(metric.denominator),
        ),
        SpecRule(
            "a covariate is for means and proportions",
            "!has(self.covariateSeconds) || self.covariateSeconds == 0 || self.kind in ['Mean', 'Proportion']",
            lambda metric: not metric.covariate_seconds or metric.kind in ("Mean", "Proportion"),
        ),
    )


class Conclusion(Wire, frozen=True):
    """What was decided, and why."""

    ship: Annotated[Name, Meta(description="The arm that everybody gets.")]
    because: Annotated[str, Meta(min_length=1, max_length=4096, description="Why.")]
    by: Annotated[str, Meta(min_length=1, max_length=128, description="Who.")]


def _declared(field: str, attribute: str = "") -> ChangeRule:
    name = attribute or field
    return ChangeRule(
        f"{field} was declared at the start and may not change; make another experiment",
        f"has(self.{field}) == has(oldSelf.{field}) && (!has(self.{field}) || self.{field} == oldSelf.{field})",
        lambda old, new: getattr(old, name) == getattr(new, name),
    )


def _rule(message: str, cel: str, holds: Callable[[Any], bool]) -> SpecRule:
    return SpecRule(message, cel, holds)


class ExperimentSpec(Wire, frozen=True):
    """Everything but ``stop`` and ``conclusion`` is declared: it may not change after the start."""

    arms: Annotated[
        tuple[ExperimentArm, ...], Meta(min_length=2, max_length=MAX_ARMS, description="The first is the control.")
    ]
    metrics: Annotated[
        tuple[ExperimentMetric, ...],
        Meta(min_length=1, max_length=MAX_METRICS, description="The first one decides; all are corrected together."),
    ]
    window_seconds: Annotated[
        int, Meta(ge=1, le=31_536_000, description="Outcome window: events so long after the first exposure count.")
    ]
    unit: Annotated[
        Name, Meta(description="Who is assigned, and is one observation: `device`, or an attribute such as `user`.")
    ] = "device"
    analysis_unit: Annotated[
        str, Meta(max_length=63, description="Only the same as `unit`: events of one unit are not independent.")
    ] = ""
    model: Annotated[str, Meta(max_length=63, description="Arms are versions of this model; or else of `flag`.")] = ""
    flag: Annotated[str, Meta(max_length=63, description="Arms are values of this flag.")] = ""
    late_seconds: Annotated[
        Seconds, Meta(description="Cut-off: an event counts if it is received so long after the window at most.")
    ] = 86_400
    minimum_units: Annotated[
        int, Meta(ge=2, le=1_000_000_000, description="In each arm, before anything is compared.")
    ] = 100
    guardrails: Annotated[
        tuple[HaltRule, ...], Meta(max_length=MAX_GUARDRAILS, description="Halt rules, as those of a rollout.")
    ] = ()
    alpha: Annotated[float, Meta(ge=0.0001, le=0.2, description="Of false findings, at all looks together.")] = 0.05
    correction: Annotated[
        Literal["Holm", "BenjaminiHochberg", "None"], Meta(description="For several metrics and arms.")
    ] = "Holm"
    tuning_units: Annotated[
        int, Meta(ge=100, le=1_000_000_000, description="At so many units intervals are narrowest.")
    ] = 5000
    coverage: Annotated[float, Meta(gt=0, le=1, description="The share of the units that takes part.")] = 1.0
    holdout: Annotated[
        float, Meta(ge=0, le=0.5, description="Units that no experiment with this holdout has, the same ones in all.")
    ] = 0.0
    classes: Annotated[tuple[Name, ...], Meta(max_length=64, description="Only devices of these classes.")] = ()
    where: Annotated[str, Meta(max_length=4096, description="Only units with such attributes.")] = ""
    design: Annotated[
        Literal["Units", "Switchback", "Interleaving"],
        Meta(
            description="`Switchback`: everybody gets the arm of the period, and periods are observations."
            " `Interleaving`: everybody gets answers of both arms in one list, and says by choosing which are better."
        ),
    ] = "Units"
    period_seconds: Annotated[Seconds, Meta(description="Of a switchback.")] = 0
    settle_seconds: Annotated[Seconds, Meta(description="At the start of a period, not counted.")] = 0
    breakdown: Annotated[
        tuple[Name, ...], Meta(max_length=8, description="Attributes of exposures for exploratory tables.")
    ] = ("class",)
    interval_seconds: Annotated[int, Meta(ge=1, le=604_800, description="Between two looks at guardrails.")] = 3600
    stop: Annotated[Once, Meta(description="A new value stops it: nobody enters any more.")] = ""
    conclusion: Annotated[Conclusion, Meta(description="The decision; it ends the experiment.")] | None = None

    rules: ClassVar[tuple[SpecRule, ...]] = (
        _rule(
            "analysisUnit has to be the unit that is assigned: events of one unit are not independent observations",
            "!has(self.analysisUnit) || self.analysisUnit == '' || self.analysisUnit == self.unit",
            lambda spec: spec.analysis_unit in ("", spec.unit),
        ),
        _rule(
            "give one of model and flag",
            "[has(self.model) && self.model != '', has(self.flag) && self.flag != ''].filter(e, e).size() == 1",
            lambda spec: bool(spec.model) != bool(spec.flag),
        ),
        _rule(
            "arms need a version each if they are of a model, and a value if they are of a flag",
            "self.arms.all(arm, has(self.model) ? has(arm.version) : has(arm.value))",
            lambda spec: all(arm.version if spec.model else arm.value for arm in spec.arms),
        ),
        _rule(
            "guardrails are about events: silence is for rollouts",
            "!has(self.guardrails) || self.guardrails.all(each, each.metric != 'silence')",
            lambda spec: all(each.metric != "silence" for each in spec.guardrails),
        ),
        _rule(
            "shares of arms have to add up to 1",
            "self.arms.map(arm, arm.share).sum() > 0.999999 && self.arms.map(arm, arm.share).sum() < 1.000001",
            lambda spec: abs(sum(arm.share for arm in spec.arms) - 1) < 1e-6,
        ),
        _rule(
            "names of arms and of metrics have to differ",
            "self.arms.all(arm, self.arms.exists_one(other, other.name == arm.name))"
            " && self.metrics.all(each, self.metrics.exists_one(other, other.name == each.name))",
            lambda spec: all(len({each.name for each in some}) == len(some) for some in (spec.arms, spec.metrics)),
        ),
        _rule(
            "a switchback has periods, at least as long as its window, and compares ratios, since traffic differs",
            "self.design != 'Switchback' || (self.periodSeconds > self.settleSeconds"
            " && self.windowSeconds <= self.periodSeconds && self.metrics.all(each, each.kind == 'Ratio'))",
            lambda spec: (
                spec.design != "Switchback"
                or (
                    spec.settle_seconds < spec.period_seconds
                    and spec.window_seconds <= spec.period_seconds
                    and all(each.kind == "Ratio" for each in spec.metrics)
                )
            ),
        ),
        _rule(
            "interleaving has two arms, and metrics that are proportions or means of chosen answers",
            "self.design != 'Interleaving' || (self.arms.size() == 2"
            " && self.metrics.all(each, each.kind in ['Mean', 'Proportion']))",
            lambda spec: (
                spec.design != "Interleaving"
                or (len(spec.arms) == 2 and all(each.kind in ("Mean", "Proportion") for each in spec.metrics))
            ),
        ),
    )
    change_rules: ClassVar[tuple[ChangeRule, ...]] = tuple(
        _declared(*each)
        for each in (
            ("unit",), ("analysisUnit", "analysis_unit"), ("model",), ("flag",), ("arms",), ("metrics",),
            ("windowSeconds", "window_seconds"), ("lateSeconds", "late_seconds"),
            ("minimumUnits", "minimum_units"), ("guardrails",), ("alpha",), ("correction",),
            ("tuningUnits", "tuning_units"), ("coverage",), ("holdout",), ("classes",), ("where",), ("design",),
            ("periodSeconds", "period_seconds"), ("settleSeconds", "settle_seconds"), ("breakdown",),
            ("intervalSeconds", "interval_seconds"),
        )
    )  # fmt: skip


def declaration_digest(spec: ExperimentSpec) -> str:
    """Of everything that is declared, with defaults written out."""
    declared: dict[str, Any] = to_builtins(convert(to_builtins(spec), ExperimentSpec))  # 60 and 60.0 are one number
    return digest_json({name: value for name, value in declared.items() if name not in ("stop", "conclusion")})


class ExperimentStep(Wire, frozen=True):
    """An entry of the log."""

    at: Time
    reason: Annotated[str, Meta(max_length=63)]
    message: Annotated[str, Meta(max_length=512)] = ""


class ExperimentStatus(Wire, frozen=True):
    state: Literal["Pending", "Running", "Stopped", "Halted", "Concluded"] = "Pending"
    declaration: Annotated[str, Meta(max_length=80)] = ""
    """The digest of what was declared, from the start."""
    numbers: Annotated[tuple[int, ...], Meta(max_length=MAX_ARMS)] = ()
    """The version of each arm."""
    started: Time | None = None
    stopped: Time | None = None
    """Since when nobody enters any more."""
    looked: Time | None = None
    units: Annotated[tuple[int, ...], Meta(max_length=MAX_ARMS)] = ()
    """Exposed so far, by arm."""
    evidence: Annotated[tuple[RuleEvidence, ...], Meta(max_length=MAX_GUARDRAILS)] = ()
    """One for each guardrail."""
    reason: Annotated[str, Meta(max_length=63)] = ""
    message: Annotated[str, Meta(max_length=1024)] = ""
    stop: Once = ""
    """The value of the spec that has been acted upon."""
    steps: Annotated[tuple[ExperimentStep, ...], Meta(max_length=40)] = ()
    observed_generation: int = 0
    conditions: Conditions = ()


EXPERIMENT = ResourceKind(
    "Experiment",
    "experiments",
    ExperimentSpec,
    ExperimentStatus,
    "Variants of a model or flag that are compared by what units do.",
    ("experiment",),
    (
        Column("Design", ".spec.design"),
        Column("State", ".status.state"),
        Column("Reason", ".status.reason"),
        Column("Age", ".metadata.creationTimestamp", "date"),
    ),
)
Experiment = Resource[ExperimentSpec, ExperimentStatus]


def read_experiment(path: Path) -> Experiment:
    """A file with one resource, in YAML. Raises ResourceError, SpecError, WhereError."""
    return checked_experiment(cast(Experiment, read_resource(read_yaml(path), {EXPERIMENT.name: EXPERIMENT})))


def checked_experiment(experiment: Experiment) -> Experiment:
    """The same, held to the bounds and rules of its kind. Raises ResourceError, WhereError."""
    if experiment.spec.where:
        parse(experiment.spec.where)
    for arm in experiment.spec.arms:
        if arm.value:
            json_value(arm.value, ResourceError, "JSON value", where=f"arm {arm.name}: value: ")
    fields = Fields("the experiment", experiment.document())
    return cast(Experiment, read_resource(fields, {EXPERIMENT.name: EXPERIMENT}))


def with_experiment_spec(experiment: Experiment, **changes: Any) -> Experiment:
    """With other fields of the spec. Raises ResourceError."""
    return checked_experiment(replace(experiment, spec=structs.replace(experiment.spec, **changes)))
