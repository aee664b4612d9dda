"""The value of a feature for one unit: the first of its rules that applies, or its default."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from lykeion.core.bucketing import bucket_of

from .attribute_conditions import satisfies
from .flag_context import Document, FlagContext, is_filtered_out
from .variation_assignment import ExperimentResult, assign_variation

Source = Literal["unknownFeature", "defaultValue", "force", "experiment", "prerequisite", "cyclicPrerequisite"]


@dataclass(frozen=True)
class FeatureResult:
    value: Any
    source: Source
    rule: str = ""
    experiment: ExperimentResult | None = None
    """What decided, if the source is an experiment."""

    @property
    def on(self) -> bool:
        return isinstance(self.value, list | dict) or bool(self.value)


def evaluate_feature(context: FlagContext, name: str) -> FeatureResult:
    """The value of a feature. What it needs of others is evaluated too; a circle of needs has no value."""
    return _evaluate(context, name, ())


def run_experiment(context: FlagContext, experiment: Document) -> ExperimentResult:
    """The variation of an experiment that is no rule of a feature."""
    return assign_variation(context, experiment, lambda parents: _parents_hold(context, parents, ()) is True)


def _parents_hold(context: FlagContext, parents: Sequence[Document], asked: Sequence[str]) -> FeatureResult | bool:
    """Whether the features that a rule depends on have such values, or the result that a gate or a circle gives."""
    for parent in parents:
        found = _evaluate(context, parent["id"], asked)
        if found.source == "cyclicPrerequisite":
            return found
        if not satisfies({"value": found.value}, parent.get("condition", {}), context.groups):
            return FeatureResult(None, "prerequisite") if parent.get("gate") else False
    return True


def _evaluate(context: FlagContext, name: str, asked: Sequence[str]) -> FeatureResult:
    if name in asked:
        return FeatureResult(None, "cyclicPrerequisite")
    feature = context.features.get(name)
    if feature is None:
        return FeatureResult(None, "unknownFeature")
    for rule in feature.get("rules") or ():
        if found := _by_rule(context, name, rule, (*asked, name)):
            return found
    return FeatureResult(feature.get("defaultValue"), "defaultValue")


def _by_rule(context: FlagContext, name: str, rule: Document, asked: Sequence[str]) -> FeatureResult | None:
    parents = _parents_hold(context, rule.get("parentConditions") or (), asked)
    if isinstance(parents, FeatureResult):
        return parents
    if not parents or is_filtered_out(context, rule.get("filters") or ()):
        return None
    if "force" in rule:
        applies = satisfies(context.attributes, rule.get("condition") or {}, context.groups)
        if applies and _is_covered(context, name, rule):
            return FeatureResult(rule["force"], "force", rule.get("id", ""))
        return None
    if not rule.get("variations"):
        return None
    experiment = rule if rule.get("key") else {**rule, "key": name}
    result = assign_variation(context, experiment, lambda _: True)
    if not result.in_experiment or result.passes_through:
        return None
    return FeatureResult(result.value, "experiment", rule.get("id", ""), replace(result, feature=name))


def _is_covered(context: FlagContext, name: str, rule: Document) -> bool:
    share, coverage = rule.get("range"), rule.get("coverage")
    if share is None and coverage is None:
        return True
    _, unit = context.unit(rule.get("hashAttribute") or "id")
    if not unit or (share is None and not coverage):
        return False
    version = rule.get("hashVersion") or 1
    if version not in (1, 2):
        return False
    bucket = bucket_of(rule.get("seed") or name, unit, version)
    return share[0] <= bucket < share[1] if share is not None else bucket <= (coverage or 0.0)
