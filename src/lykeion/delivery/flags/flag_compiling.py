"""What GrowthBook's clients are sent of flags: features, rules with conditions, and saved groups."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from graphlib import CycleError, TopologicalSorter
from typing import Any, TypeAlias

from msgspec.structs import replace

from lykeion.core.expression import Expression, WhereError
from lykeion.core.flags import AttributeType, ServerOnly, compile_where, guarded, typed
from lykeion.core.grammar import parse
from lykeion.core.matching import matches

from .flag_model import FeatureFlag, FlagError, FlagRule, FlagType, Prerequisite, weights_of

Document: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class SavedGroup:
    """Units by the values of an attribute."""

    attribute: str
    values: Sequence[str | int | float]


@dataclass(frozen=True)
class FlagEnvironment:
    """What flags share: attributes with their types, saved groups, and one another."""

    attributes: Mapping[str, AttributeType] = field(default_factory=dict[str, AttributeType])
    groups: Mapping[str, SavedGroup] = field(default_factory=dict[str, SavedGroup])
    flags: Mapping[str, FeatureFlag] = field(default_factory=dict[str, FeatureFlag])

    @cached_property
    def client_features(self) -> Mapping[str, Document]:
        """Of all flags that clients are sent, by name. Raises FlagError where one does not fit."""
        return {name: feature(self, name, flag) for name, flag in self.flags.items() if not flag.server_only}

    @cached_property
    def undecided_features(self) -> Mapping[str, Document]:
        """Of the other flags, without what their rules say of attributes."""
        own = {name: flag for name, flag in self.flags.items() if flag.server_only}
        return {name: feature(self, name, _without_where(flag)) for name, flag in own.items()}


def server_features(environment: FlagEnvironment, attributes: Mapping[str, Any]) -> dict[str, Document]:
    """Of all flags, for one unit: conditions of flags that clients are not sent are decided already."""
    values = typed(attributes, environment.attributes)
    found = dict(environment.client_features)
    for name, each in environment.undecided_features.items():
        rules = environment.flags[name].ordered_rules
        kept = [made for made, rule in zip(each["rules"], rules, strict=False) if _is_true(rule.where, values)]
        found[name] = {**each, "rules": kept}
    return found


def check_environment(environment: FlagEnvironment) -> None:
    """Raises FlagError where a flag does not fit what there is, or requires itself."""
    made = {**environment.client_features, **environment.undecided_features}
    for name in made:
        flag = environment.flags[name]
        for rule in flag.ordered_rules if flag.server_only else ():
            _check_condition(environment, f"flag {name}, rule {rule.id}", rule)
        for needed in sorted(_required_by(flag)):
            if environment.flags[needed].server_only and not flag.server_only:
                raise FlagError(
                    f"flag {name}: it requires {needed}, which clients are not sent; set serverOnly: true"
                )
    _check_circles(environment)


def group_values(environment: FlagEnvironment) -> dict[str, list[Any]]:
    return {name: list(each.values) for name, each in environment.groups.items()}


def client_groups(environment: FlagEnvironment) -> dict[str, list[Any]]:
    """Those that rules of the flags name which clients are sent."""
    sent = (flag for flag in environment.flags.values() if flag.enabled and not flag.server_only)
    used = {name for flag in sent for rule in flag.ordered_rules for name in (*rule.in_groups, *rule.not_in_groups)}
    return {name: values for name, values in group_values(environment).items() if name in used}


def feature(environment: FlagEnvironment, name: str, flag: FeatureFlag) -> Document:
    """As in https://docs.growthbook.io/lib/build-your-own. Raises FlagError where a rule does not fit."""
    rules = flag.ordered_rules if flag.enabled else ()
    return {
        "defaultValue": flag.default,
        "rules": [rule_document(environment, name, flag, each) for each in rules],
    }


def rule_document(environment: FlagEnvironment, name: str, flag: FeatureFlag, rule: FlagRule) -> Document:
    """Raises FlagError where it does not fit."""
    place = f"flag {name}, rule {rule.id}"
    made: Document = {
        "id": rule.id,
        "hashAttribute": rule.unit,
        "hashVersion": 2,
        "seed": rule.seed or f"{name}.{rule.id}.{rule.phase}",
        "coverage": rule.coverage,
    }
    if condition := _condition(environment, rule, place):
        made["condition"] = condition
    if parents := [*flag.requires, *rule.requires]:
        made["parentConditions"] = [_parent(environment, each, place) for each in parents]
    return made | (_experiment(name, rule) if rule.variations else {"force": rule.value})


def _experiment(name: str, rule: FlagRule) -> Document:
    """A phase has a seed and a bucket version of its own, so that no assignment of another one is kept."""
    found: Document = {
        "key": rule.experiment or f"{name}.{rule.id}",
        "phase": str(rule.phase),
        "variations": [each.value for each in rule.variations],
        "weights": list(weights_of(rule)),
        "meta": [{"key": each.name, "name": each.name} for each in rule.variations],
        "bucketVersion": rule.phase,
        "minBucketVersion": 0,
    }
    if rule.namespace:
        found["namespace"] = [rule.namespace.name, rule.namespace.start, rule.namespace.end]
    return found if rule.sticky else found | {"disableStickyBucketing": True}


def _condition(environment: FlagEnvironment, rule: FlagRule, place: str) -> Document | None:
    parts = [_compiled(rule.where, environment.attributes, place)] if rule.where else []
    for operator, names in (("$inGroup", rule.in_groups), ("$notInGroup", rule.not_in_groups)):
        parts += [_in_group(environment, name, operator, place) for name in names]
    return {"$and": parts} if len(parts) > 1 else parts[0] if parts else None


def _in_group(environment: FlagEnvironment, name: str, operator: str, place: str) -> Document:
    """A unit without a value of the attribute is in no group; it is not outside of any either."""
    if name not in environment.groups:
        known = ", ".join(sorted(environment.groups)) or "none"
        raise FlagError(f"{place}: there is no group {name!r}; there are: {known}")
    attribute = environment.groups[name].attribute
    return {attribute: guarded(environment.attributes[attribute], {operator: name})}


def _parent(environment: FlagEnvironment, needed: Prerequisite, place: str) -> Document:
    parent = environment.flags.get(needed.flag)
    if parent is None:
        raise FlagError(f"{place}: it requires the flag {needed.flag!r}, which there is not")
    if (type_ := _AS_ATTRIBUTE.get(parent.type)) is None:
        raise FlagError(f"{place}: the flag {needed.flag!r} is {parent.type}, which has no conditions")
    return {"id": needed.flag, "condition": _compiled(needed.where, {"value": type_}, place)}


def _check_condition(environment: FlagEnvironment, place: str, rule: FlagRule) -> None:
    """Of a flag for servers alone: what clients may decide otherwise is no error."""
    try:
        if rule.where:
            compile_where(parsed(rule.where), environment.attributes)
    except ServerOnly:
        return
    except WhereError as error:
        raise FlagError(f"{place}: {error}") from None


def _required_by(flag: FeatureFlag) -> set[str]:
    return {each.flag for needs in (flag.requires, *(rule.requires for rule in flag.ordered_rules)) for each in needs}


def _check_circles(environment: FlagEnvironment) -> None:
    needs = {name: _required_by(flag) for name, flag in environment.flags.items()}
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        raise FlagError(f"flags would require themselves: {' → '.join(error.args[1])}") from None


_AS_ATTRIBUTE: Mapping[FlagType, AttributeType] = {"boolean": "boolean", "string": "string", "number": "number"}


def _compiled(where: str, types: Mapping[str, AttributeType], place: str) -> Document:
    try:
        return compile_where(parsed(where), types)
    except ServerOnly as error:
        raise FlagError(f"{place}: {error}; or set serverOnly: true") from None
    except WhereError as error:
        raise FlagError(f"{place}: {error}") from None


def _without_where(flag: FeatureFlag) -> FeatureFlag:
    return replace(flag, ordered_rules=tuple(replace(each, where="") for each in flag.ordered_rules))


def _is_true(where: str, attributes: Mapping[str, Any]) -> bool:
    """A value that cannot be compared does not satisfy it."""
    try:
        return not where or matches(parsed(where), attributes)
    except WhereError:
        return False


@lru_cache(4096)
def parsed(where: str) -> Expression:
    return parse(where)
